import { ndArray, type NdArray } from "../../testing/nd-array.ts";

/** y = x · cos + turned(x) · sin, where turned(x) is (−second half, first half) of each head. */
export function rotaryReference(x: NdArray, cosine: NdArray, sine: NdArray): NdArray {
  const [, T, H, D] = x.shape as [number, number, number, number];
  const half = D / 2;
  const y = ndArray(x.shape, new Float64Array(x.data.length));
  for (let e = 0; e < x.data.length; e++) {
    const d = e % D;
    const angle = (Math.floor(e / (H * D)) % T) * half + (d % half);
    const turned = d < half ? -x.data[e + half]! : x.data[e - half]!;
    y.data[e] = x.data[e]! * cosine.data[angle]! + turned * sine.data[angle]!;
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
