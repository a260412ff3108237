import { f16Bits, f16Value } from "@gpugrad/tensor";

/** The values of all f16 numbers, by their bits. */
let values: Float32Array | undefined;

/** The sums of f16 numbers given by their bits, added in f32 in the order given. */
export function sumHalves(all: readonly Uint16Array[]): Uint16Array {
  const table = (values ??= Float32Array.from({ length: 0x10000 }, (_, bits) => f16Value(bits)));
  return Uint16Array.from(all[0]!, (_, i) => {
    let sum = 0;
    for (const halves of all) sum = Math.fround(sum + table[halves[i]!]!);
    return f16Bits(sum);
  });
}
