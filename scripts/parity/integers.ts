import {
  cast,
  device,
  fromBytes,
  philox,
  randomWords,
  scope,
  uniformFloat,
  type DType,
  type Generator,
} from "@gpugrad/tensor";
import { same, type Check } from "./tolerance.ts";

/** A case of philox.json: a block, a stream of blocks, or words as floats. */
interface PhiloxCase {
  kind: string;
  counter: [number, number, number, number];
  key: [number, number];
  words: number[];
  float32?: number[];
}

/** A case of dtype.json: bits of one type, and the same numbers' bits in another. */
interface DtypeCase {
  name: string;
  input_bits: number[];
  output_bits: number[];
  input_is_nan: number[];
}

/** The two files of ops/ that hold integers only, and need no tolerance. */
export const integerFiles: Record<string, (c: never) => Promise<Check[]>> = {
  async philox({ kind, counter, key, words, float32 }: PhiloxCase): Promise<Check[]> {
    if (kind === "uniform") return [same("float32", words.map(uniformFloat), float32)];
    const host: number[] = [];
    for (let block = 0; host.length < words.length; block++) {
      let carry = BigInt(block);
      const at = counter.map((word) => {
        const sum = BigInt(word) + carry;
        carry = sum >> 32n;
        return Number(sum & 0xffffffffn);
      });
      host.push(...philox(at as PhiloxCase["counter"], key));
    }
    // Of a generator the op needs only draw(): where its blocks begin.
    const generator = { draw: () => ({ key, counter }) } as unknown as Generator;
    const onDevice = await scope(() => randomWords([words.length], { generator }).data());
    return [same("words", host.slice(0, words.length), words), same("words on the device", [...onDevice], words)];
  },

  async dtype({ name, input_bits, output_bits, input_is_nan }: DtypeCase): Promise<Check[]> {
    const [from, to] = name.split("_to_") as [DType, DType];
    const got = await scope(async () => {
      const x = fromBytes(toBytes(input_bits, from), [input_bits.length], from);
      const y = cast(x, to);
      const bytes = await device().read(y.buffer, y.byteLength);
      return [...(to === "f32" ? new Uint32Array(bytes) : new Uint16Array(bytes))].slice(0, input_bits.length);
    });
    // Any NaN is right for a NaN.
    const isNaNBits = (bits: number): boolean =>
      to === "f32" ? (bits & 0x7fffffff) > 0x7f800000 : (bits & 0x7fff) > (to === "f16" ? 0x7c00 : 0x7f80);
    const nan = new Set(input_is_nan);
    const canonical = (bits: number, i: number) => (nan.has(i) && isNaNBits(bits) ? "NaN" : bits);
    return [same("bits", got.map(canonical), output_bits.map(canonical))];
  },
};

const toBytes = (bits: number[], dtype: DType): Uint8Array =>
  new Uint8Array((dtype === "f32" ? Uint32Array.from(bits) : Uint16Array.from(bits)).buffer);
