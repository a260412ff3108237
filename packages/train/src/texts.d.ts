/** A kernel file, imported as text. */
declare module "*.wgsl" {
  const code: string;
  export default code;
}

/** Any other file, imported as text. */
declare module "*?raw" {
  const text: string;
  export default text;
}
