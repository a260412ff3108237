import { check, showValue, type Tensor } from "@gpugrad/tensor";
import { Module } from "../module.ts";

/** A layer of {@link Sequential}: a module of one input, or a function. */
export type SequentialLayer = (Module & { forward(x: Tensor): Tensor }) | ((x: Tensor) => Tensor);

/**
 * Layers one after the other, functions among them: `new Sequential(new Linear(4, 8), relu, new Linear(8, 1))`. A layer's key is its place,
 * `0.weight`, as in PyTorch, where a function counts as the layer that it stands for.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Sequential.html
 */
export class Sequential extends Module {
  readonly [place: number]: SequentialLayer;
  /** How many layers there are. */
  readonly length: number;

  constructor(...layers: SequentialLayer[]) {
    super();
    for (const [i, layer] of layers.entries())
      check(
        typeof layer === "function" || (layer instanceof Module && "forward" in layer),
        () => `Sequential: layer ${i} is ${showValue(layer)}, not a module or a function.`,
      );
    this.length = layers.length;
    Object.assign(this, layers);
  }

  forward(x: Tensor): Tensor {
    let y = x;
    for (let i = 0; i < this.length; i++) {
      const layer = this[i]!;
      y = typeof layer === "function" ? layer(y) : layer.forward(y);
    }
    return y;
  }
}
