interface ImportMeta {
  /** Files to be loaded when they are wanted: https://vite.dev/guide/features.html#glob-import */
  glob<T>(pattern: string, options: { query: string; import: "default" }): Record<string, () => Promise<T>>;
}
