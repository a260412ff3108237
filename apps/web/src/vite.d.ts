interface ImportMeta {
  /** Where the site is served from: `/`, or a sub-path. */
  readonly env: { readonly BASE_URL: string };
  /** Files to be loaded when they are wanted: https://vite.dev/guide/features.html#glob-import */
  glob<T>(pattern: string, options: { query: string; import: "default" }): Record<string, () => Promise<T>>;
}
