import { Dropout, initializers, Linear, Module, parameter, setValue, type Fusion } from "@gpugrad/nn";
import {
  add,
  check,
  clone,
  copyInto,
  div,
  keep,
  linear,
  matmul,
  mul,
  reshape,
  scope,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
} from "@gpugrad/tensor";
import { noGrad } from "@gpugrad/autograd";
import type { LoraOptions } from "./lora-config.ts";

/** Parts by the names of adapters. */
class ByAdapter<M extends Module> extends Module {
  get(name: string): M | undefined {
    return (this as unknown as Record<string, M | undefined>)[name];
  }
  set(name: string, part: M): void {
    (this as unknown as Record<string, M>)[name] = part;
  }
  delete(name: string): void {
    delete (this as unknown as Record<string, M>)[name];
  }
}

/** How an adapter changes one layer. */
export interface LoraLayerOptions {
  r: number;
  scaling: number;
  dropoutP: number;
  dora: boolean;
  init: Required<LoraOptions>["init_lora_weights"];
}

/** The length of each row that DoRA learns: a parameter whose key is the adapter's name. */
class Magnitudes extends Module {}

/**
 * A linear layer with low-rank updates beside it: y = x · Wᵀ + b + Σ scaling · (x · Aᵀ) · Bᵀ over the active adapters; W itself is not
 * trained. A [r, in] begins as a linear layer does, B [out, r] with 0, so that nothing changes at first.
 *
 * @see https://arxiv.org/abs/2106.09685
 */
export class LoraLinear extends Module {
  readonly base_layer: Linear<boolean>;
  readonly lora_A = new ByAdapter<Linear<false>>();
  readonly lora_B = new ByAdapter<Linear<false>>();
  /** DoRA's [out] per adapter: the length of each row of the weight. */
  readonly lora_magnitude_vector = new Magnitudes() as Magnitudes & Record<string, Tensor>;
  readonly lora_dropout = new ByAdapter<Dropout>();
  /** Which adapters take part, in the order of their names in the call that activated them. */
  active: readonly string[] = [];
  readonly #scalings = new Map<string, number>();
  /** The base's weight before adapters were merged into it. */
  #original: Tensor | undefined;

  constructor(base: Linear<boolean>) {
    super();
    this.base_layer = base;
  }

  addAdapter(name: string, { r, scaling, dropoutP, dora, init }: LoraLayerOptions): void {
    const [out, inputs] = this.base_layer.weight.shape as [number, number];
    const [A, B] = [new Linear(inputs, r, false), new Linear(r, out, false)];
    if (init === "gaussian") initializers.normal(A.weight, { std: 1 / r });
    if (init !== false) initializers.zeros(B.weight);
    this.lora_A.set(name, A);
    this.lora_B.set(name, B);
    this.lora_dropout.set(name, new Dropout(dropoutP));
    this.#scalings.set(name, scaling);
    if (dora)
      this.lora_magnitude_vector[name] = parameter([out], (m) => setValue(m, () => rowLengths(this.base_layer.weight)));
  }

  hasAdapter(name: string): boolean {
    return this.#scalings.has(name);
  }

  deleteAdapter(name: string): void {
    this.lora_A.get(name)?.dispose();
    this.lora_B.get(name)?.dispose();
    this.lora_magnitude_vector[name]?.dispose();
    for (const parts of [this.lora_A, this.lora_B, this.lora_dropout]) parts.delete(name);
    delete this.lora_magnitude_vector[name];
    this.#scalings.delete(name);
    this.active = this.active.filter((other) => other !== name);
  }

  /** What the adapter adds to the weight: scaling · B · A, [out, in]. */
  delta(name: string): Tensor {
    const { A, B, scaling } = this.#part(name);
    return mul(matmul(B.weight, A.weight), scaling);
  }

  /** A and B of an adapter, with its scaling. @throws when the adapter does not exist here */
  #part(name: string): { A: Linear<false>; B: Linear<false>; scaling: number } {
    const scaling = this.#scalings.get(name);
    check(
      scaling !== undefined,
      () => `LoraLinear: no adapter "${name}". There are ${[...this.#scalings.keys()].join(", ")}.`,
    );
    return { A: this.lora_A.get(name)!, B: this.lora_B.get(name)!, scaling };
  }

  /** A, B and the scaling, for combining adapters. */
  partsOf(name: string): { A: Tensor; B: Tensor; scaling: number } | undefined {
    if (!this.hasAdapter(name)) return undefined;
    const { A, B, scaling } = this.#part(name);
    return { A: A.weight, B: B.weight, scaling };
  }

  forward(x: Tensor, fusion?: Fusion): Tensor {
    const adapters = this.#original ? [] : this.active.filter((name) => this.hasAdapter(name));
    if (adapters.length === 0) return this.base_layer.forward(x, fusion);
    return adapters.reduce((y, name) => add(y, this.#update(name, x)), this.base_layer.forward(x));
  }

  /** What an adapter adds to the output. */
  #update(name: string, x: Tensor): Tensor {
    const { A, B, scaling } = this.#part(name);
    const dropped = this.lora_dropout.get(name)!.forward(x);
    const low = mul(B.forward(A.forward(dropped)), scaling);
    const magnitude = this.lora_magnitude_vector[name];
    if (!magnitude) return low;
    // W' = m · V / ‖V‖ with V = W + scaling · B · A, whose length has no gradient: y' − y = (m / ‖V‖ − 1) · x Wᵀ + (m / ‖V‖) · low
    const { weight } = this.base_layer;
    const ratio = div(
      magnitude,
      noGrad(() => rowLengths(add(weight, this.delta(name)))),
    );
    return add(mul(sub(ratio, 1), linear(dropped, weight)), mul(ratio, low));
  }

  /** Writes the active adapters into the base's weight: as fast as without them, until {@link unmerge}. */
  merge(): void {
    const adapters = this.active.filter((name) => this.hasAdapter(name));
    if (this.#original || adapters.length === 0) return;
    const { weight } = this.base_layer;
    this.#original = keep(
      scope(() => clone(weight.detach())),
      "adapters",
    );
    for (const name of adapters) setValue(weight, () => noGrad(() => this.#merged(name)));
  }

  #merged(name: string): Tensor {
    const V = add(this.base_layer.weight, this.delta(name));
    const magnitude = this.lora_magnitude_vector[name];
    return magnitude ? mul(V, reshape(div(magnitude, rowLengths(V)), [-1, 1])) : V;
  }

  /** Gives the base the weight back that it had before {@link merge}, to the byte. */
  unmerge(): void {
    if (!this.#original) return;
    copyInto(this.base_layer.weight, this.#original);
    this.forgetOriginal();
  }

  forgetOriginal(): void {
    this.#original?.dispose();
    this.#original = undefined;
  }

  override dispose(): void {
    this.forgetOriginal();
    super.dispose();
  }
}

/** ‖·‖ of each row of a matrix, [out]. */
const rowLengths = (W: Tensor): Tensor => sqrt(sum(square(W), { dim: 1 }));
