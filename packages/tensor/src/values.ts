/** What distinguishes a tensor from other objects, for files that come before `tensor.ts`. */
export interface TensorLike {
  readonly dtype: unknown;
  readonly gradNode: unknown;
  toString(): string;
}

export const isTensor = (value: unknown): value is TensorLike =>
  typeof value === "object" && value !== null && "gradNode" in value && "dtype" in value;

const SHOWN = 6; // entries of a list, characters of a long string times ten

/** A value as it is shown in messages; of lists within lists, what lies deeper than two is left out. */
export function showValue(value: unknown, depth = 2): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 10 * SHOWN ? `${value.slice(0, 10 * SHOWN)}…` : value);
  }
  if (typeof value === "function") return value.name ? `the function ${value.name}` : "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return String(value);
  if (isTensor(value)) return value.toString();
  if (Array.isArray(value)) {
    if (depth === 0) return "[…]";
    const entries = value.slice(0, SHOWN).map((entry) => showValue(entry, depth - 1));
    return `[${entries.join(", ")}${value.length > SHOWN ? ", …" : ""}]`;
  }
  const kind = (value.constructor as { name?: string } | undefined)?.name;
  return kind && kind !== "Object"
    ? `${/^[AEIO]/.test(kind) ? "an" : "a"} ${kind}`
    : `{ ${Object.keys(value).slice(0, SHOWN).join(", ")} }`;
}
