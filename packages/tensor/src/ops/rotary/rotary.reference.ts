import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** Each pair (a, b) of a head becomes (a cos − b sin, b cos + a sin); elements after the pairs stay. */
export function rotaryReference(
  x: NdArray,
  cosine: NdArray,
  sine: NdArray,
  { interleaved = false }: { interleaved?: boolean } = {},
): NdArray {
  const [B, T, H, D] = x.shape as [number, number, number, number];
  const half = cosine.shape.at(-1)!;
  const y = ndArray(x.shape, Float64Array.from(x.data));
  for (let b = 0; b < B; b++)
    for (let t = 0; t < T; t++)
      for (let h = 0; h < H; h++)
        for (let d = 0; d < half; d++) {
          const head = ((b * T + t) * H + h) * D;
          const [first, second] = interleaved ? [head + 2 * d, head + 2 * d + 1] : [head + d, head + d + half];
          const angle = (cosine.shape.length === 3 ? b * T + t : t) * half + d;
          const [c, s] = [cosine.data[angle]!, sine.data[angle]!];
          y.data[first] = x.data[first]! * c - x.data[second]! * s;
          y.data[second] = x.data[second]! * c + x.data[first]! * s;
        }
  return y;
}

/** cos and sin of t · theta^(−2d / D). */
export const rotaryAnglesReference = (T: number, D: number, theta: number) =>
  Array.from({ length: (T * D) / 2 }, (_, e) => {
    const [t, d] = [Math.floor(e / (D / 2)), e % (D / 2)];
    const angle = t * theta ** ((-2 * d) / D);
    return { cosine: Math.cos(angle), sine: Math.sin(angle) };
  });
