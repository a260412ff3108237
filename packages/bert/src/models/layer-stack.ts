import { checkpoint } from "@gpugrad/autograd";
import { Module } from "@gpugrad/nn";
import { scope, type Tensor } from "@gpugrad/tensor";

/** One layer of an encoder. */
export interface StackedLayer extends Module {
  /** @param mask bool [B, 1, 1, T], true where a key may be attended to */
  forward(x: Tensor, mask: Tensor | undefined): Tensor;
  /** The same with the attention probabilities [B, H, T, T]. */
  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor };
}

/** What to return beside the last layer's output; with `attentions` nothing is computed a second time. */
export interface StackOptions {
  hiddenStates?: boolean;
  attentions?: boolean;
}

/** What a stack gives: `hiddenStates` begins with its input. */
export interface StackOutput {
  last: Tensor;
  hiddenStates: Tensor[];
  attentions: Tensor[];
}

/**
 * Layers one after the other, with gradient checkpointing. A family's encoder holds them in the property that its checkpoints name, and
 * says in which order they compute.
 */
export abstract class LayerStack<L extends StackedLayer = StackedLayer> extends Module {
  /** Whether training saves each layer's input only, and computes the layer a second time for its backward. */
  gradientCheckpointing = false;

  /** The layers in order; a layer may come several times, with the same weights. */
  protected abstract layers(): Iterable<L>;

  /** @param x [B, T, C] */
  forward(x: Tensor, mask: Tensor | undefined, keep: StackOptions = {}): StackOutput {
    const hiddenStates = [x];
    const attentions: Tensor[] = [];
    let last = x;
    for (const layer of this.layers()) {
      // A scope per layer gives back what only this layer needed; what backward needs, the tape holds.
      if (keep.attentions) {
        const { y, probabilities } = scope(() => layer.forwardWithProbabilities(last, mask));
        attentions.push(probabilities);
        last = y;
      } else {
        last = scope(() => this.#forward(layer, last, mask));
      }
      hiddenStates.push(last);
    }
    return { last, hiddenStates: keep.hiddenStates ? hiddenStates : [], attentions };
  }

  #forward(layer: L, x: Tensor, mask: Tensor | undefined): Tensor {
    const checkpoints = this.gradientCheckpointing && this.training;
    if (!checkpoints || !(x.requiresGrad || layer.parameters().some((p) => p.requiresGrad)))
      return layer.forward(x, mask);
    return checkpoint((x, mask) => layer.forward(x, mask), mask ? [x, mask] : [x]);
  }
}
