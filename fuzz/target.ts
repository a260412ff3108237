/** A reader under test: what it is fed, and how. */
export interface Target {
  /** `safetensors`, `csv`, …: the name on the command line, and of the folder in `corpus/`. */
  name: string;
  /** Valid inputs that mutations start from. */
  seeds: readonly (string | Uint8Array)[];
  /** Words of the format that a mutation inserts. */
  dictionary: readonly string[];
  /** Reads one input to its end. Returning is fine, and so is an error of the project's own. */
  read(input: Uint8Array): unknown;
}

/** Several files in one input, so that mutations reach their contents, their names and what they say of each other. */
export function bundle(files: Record<string, string | Uint8Array>): Uint8Array {
  const parts = Object.entries(files).flatMap(([name, content]) => [
    Buffer.from(`${MARK}${name}\n`),
    Buffer.from(content),
  ]);
  return Uint8Array.from(Buffer.concat(parts));
}

/** The files of a {@link bundle}, or of what a mutation made of it. */
export function unbundle(input: Uint8Array): Record<string, Uint8Array> {
  const bytes = Buffer.from(input);
  const files: [string, Uint8Array][] = [];
  for (let at = bytes.indexOf(MARK); at >= 0;) {
    const nameEnd = bytes.indexOf("\n", at + MARK.length);
    if (nameEnd < 0) break;
    const next = bytes.indexOf(MARK, nameEnd);
    const name = bytes.toString("utf8", at + MARK.length, nameEnd);
    files.push([name, Uint8Array.from(bytes.subarray(nameEnd + 1, next < 0 ? bytes.length : next))]);
    at = next;
  }
  return Object.fromEntries(files);
}
const MARK = "\n=== ";

export const textOf = (input: Uint8Array): string => new TextDecoder().decode(input);
