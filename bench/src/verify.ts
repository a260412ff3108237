/** @throws when |got − want| > atol + rtol · |want| for an element, NaN included: says where, and by how much. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { rtol = 1e-4, atol = 1e-4 }: { rtol?: number; atol?: number } = {},
): void {
  for (let i = 0; i < want.length; i++) {
    if (!(Math.abs(got[i]! - want[i]!) <= atol + rtol * Math.abs(want[i]!))) {
      throw new Error(`wrong result: element ${i} is ${got[i]}, not ${want[i]}`);
    }
  }
}
