import type { DType, TypedArray } from "./dtype.ts";
import { sizeOf, type Shape } from "./shape.ts";

const EDGE = 3; // entries shown at either end of a long dimension

/** Elements in nested brackets, aligned, four decimals; dimensions of more than seven entries are shortened. */
export function format(data: TypedArray, shape: Shape, dtype: DType): string {
  const show = (value: number): string => {
    if (dtype === "bool") return value ? "true" : "false";
    if (dtype === "i32" || dtype === "u32") return String(value);
    const size = Math.abs(value);
    return size !== 0 && Number.isFinite(value) && (size >= 1e5 || size < 1e-4)
      ? value.toExponential(3)
      : value.toFixed(4);
  };
  const walk = (dims: Shape, at: number, indent: number): string => {
    const [n, ...rest] = dims;
    if (n === undefined) return show(data[at]!);
    const step = sizeOf(rest);
    const entries: string[] = [];
    for (let i = 0; i < n; i++) {
      if (n > 2 * EDGE + 1 && i === EDGE) {
        entries.push("…");
        i = n - EDGE;
      }
      entries.push(walk(rest, at + i * step, indent + 1));
    }
    const separator = rest.length === 0 ? ", " : `,${"\n".repeat(rest.length)}${" ".repeat(indent + 1)}`;
    return `[${entries.join(separator)}]`;
  };
  return walk(shape, 0, 0);
}
