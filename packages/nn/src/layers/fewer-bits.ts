import { cast, check, device, keep, linearInt8, quantizeInt8, scope, type Tensor } from "@gpugrad/tensor";
import { Module } from "../module.ts";
import { constant } from "../parameter.ts";
import { Linear, type Fusion } from "./linear.ts";

/** A linear layer whose weight is kept in 8 bits, with a scale for each output: a quarter of the memory. For inference: nothing trains it. */
export class Int8Linear extends Module {
  readonly bias: Tensor | undefined; // [out]
  readonly #weight: Tensor; // [out, in / 4], words of four
  readonly #scale: Tensor; // [out]

  /** @param layer whose weight is rounded; its bias is shared */
  constructor({ weight, bias }: Linear<boolean>) {
    super();
    const [words, scale] = quantizeInt8(weight.detach());
    this.#weight = constant(words);
    this.#scale = constant(scale);
    this.bias = bias;
  }

  /** @param fusion A GELU to apply to y in the same kernel. */
  forward(x: Tensor, fusion?: Fusion): Tensor {
    if (!fusion) return linearInt8(x, this.#weight, this.#scale, this.bias);
    fusion.isDone = true;
    return linearInt8(x, this.#weight, this.#scale, this.bias, { gelu: fusion.gelu });
  }

  override *ownConstants(): Generator<Tensor> {
    yield this.#weight;
    yield this.#scale;
  }
}

/** Layers with fewer outputs are left as they are: a classifier's head gains nothing. */
const FEWEST_OUTPUTS = 8;

/**
 * Keeps the weights of a model's linear layers in fewer bits, from now on, for inference: in f16, or in 8 bits with a scale for each output
 * ({@link Int8Linear}). Sums stay f32. Left as they are: layers with fewer than 8 outputs, weights that other parts use too (a decoder's that is the word
 * embeddings), rows that are not whole words, and what isn't a linear layer.
 * @returns how many weights there are in fewer bits
 */
export function keepInFewerBits(model: Module, bits: "f16" | "int8"): number {
  check(
    bits === "f16" || bits === "int8",
    () => `keepInFewerBits: bits is ${JSON.stringify(bits)}, not "f16" or "int8".`,
  );
  const uses = new Map<Tensor, number>();
  for (const [, tensor] of model.namedTensors()) uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  let count = 0;
  for (const [path, layer] of [...model.namedModules()]) {
    if (path === "" || layer.constructor !== Linear) continue;
    const { weight, bias } = layer as Linear<boolean>;
    const [outs, ins] = weight.shape as [number, number];
    if (weight.dtype !== "f32" || outs < FEWEST_OUTPUTS || ins % 4 !== 0 || uses.get(weight)! > 1) continue;
    scope(() => {
      const halves = (): Tensor => keep(cast(weight.detach(), "f16"), "parameters");
      const tied = { ...(bias && { bias }) };
      const other = bits === "int8" ? new Int8Linear(layer) : new Linear(ins, outs, bias !== undefined, { weight: halves(), ...tied }); // prettier-ignore
      model.replace(path, other);
    });
    weight.dispose();
    device().trim(); // or the next layer would take this buffer, which is larger than what it needs
    count += outs * ins;
  }
  return count;
}
