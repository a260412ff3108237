import { checkpoint } from "@gpugrad/autograd";
import { Module } from "@gpugrad/nn";
import { scope, Tensor } from "@gpugrad/tensor";

/** What all layers compute with beside x: the mask, or several tensors by name. */
export type Shared = Tensor | undefined | Readonly<Record<string, Tensor | undefined>>;

/** One layer of an encoder. Most share a mask: bool [B, 1, 1, T], true where a key may be attended to. */
export interface StackedLayer<S extends Shared = Tensor | undefined> extends Module {
  forward(x: Tensor, shared: S): Tensor;
  /** The same with the attention probabilities [B, H, T, T]. */
  forwardWithProbabilities(x: Tensor, shared: S): { y: Tensor; probabilities: Tensor };
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
export abstract class LayerStack<L extends StackedLayer<S>, S extends Shared = Tensor | undefined> extends Module {
  /** Whether training saves each layer's input only, and computes the layer a second time for its backward. */
  gradientCheckpointing = false;

  /** The layers in order; a layer may come several times, with the same weights. */
  protected abstract layers(): Iterable<L>;

  /** @param x [B, T, C] */
  forward(x: Tensor, shared: S, keep: StackOptions = {}): StackOutput {
    const hiddenStates = [x];
    const attentions: Tensor[] = [];
    let last = x;
    for (const layer of this.layers()) {
      // A scope per layer gives back what only this layer needed; what backward needs, the tape holds.
      if (keep.attentions) {
        const { y, probabilities } = scope(() => layer.forwardWithProbabilities(last, shared));
        attentions.push(probabilities);
        last = y;
      } else {
        last = scope(() => this.#forward(layer, last, shared));
      }
      hiddenStates.push(last);
    }
    return { last, hiddenStates: keep.hiddenStates ? hiddenStates : [], attentions };
  }

  #forward(layer: L, x: Tensor, shared: S): Tensor {
    const checkpoints = this.gradientCheckpointing && this.training;
    if (!checkpoints || !(x.requiresGrad || layer.parameters().some((p) => p.requiresGrad)))
      return layer.forward(x, shared);
    // What is shared comes in through the inputs: a gradient may flow to it, and it has to live until the layer is computed again.
    const named = shared instanceof Tensor || shared === undefined ? { "": shared } : shared;
    const given = Object.entries(named).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
    const restored = (tensors: readonly Tensor[]): S => {
      const again = Object.fromEntries(given.map(([name], i) => [name, tensors[i]]));
      return (named === shared ? again : again[""]) as S;
    };
    return checkpoint(
      (x, ...tensors) => layer.forward(x, restored(tensors)),
      [x, ...given.map(([, tensor]) => tensor)],
    );
  }
}
