import { checkpoint } from "@gpugrad/autograd";
import { scope, type Tensor } from "@gpugrad/tensor";
import { denseActivation, Linear, Module } from "@gpugrad/nn";
import type { EncoderConfig } from "../config.ts";
import { Attention, ResidualOutput } from "./attention.ts";

/** The first half of the feed-forward: act(x · Wᵀ + b), [.., C] → [.., F]. */
class Intermediate extends Module {
  readonly dense: Linear;
  readonly #act: string;

  constructor(config: EncoderConfig) {
    super();
    this.dense = new Linear(config.hidden_size, config.intermediate_size);
    this.#act = config.hidden_act;
  }

  forward(x: Tensor): Tensor {
    return denseActivation(this.dense, x, this.#act);
  }
}

/** One layer: attention, then the feed-forward, each with residual and layer norm after it ("post-LN"). */
export class EncoderLayer extends Module {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;

  constructor(config: EncoderConfig) {
    super();
    this.attention = new Attention(config);
    this.intermediate = new Intermediate(config);
    this.output = new ResidualOutput(config.intermediate_size, config);
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.#finish(this.attention.self.forward(x, mask), x);
  }

  forwardWithProbabilities(x: Tensor, mask: Tensor | undefined): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attention.self.forwardWithProbabilities(x, mask);
    return { y: this.#finish(y, x), probabilities };
  }

  #finish(heads: Tensor, x: Tensor): Tensor {
    const attended = this.attention.output.forward(heads, x);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

/** The stack of layers. */
export class Encoder extends Module {
  readonly layer: EncoderLayer[];
  /** Whether training saves each layer's input only, and computes the layer a second time for its backward. */
  gradientCheckpointing = false;

  constructor(config: EncoderConfig) {
    super();
    this.layer = Array.from({ length: config.num_hidden_layers }, () => new EncoderLayer(config));
  }

  /**
   * @param x [B, T, C]
   * @param keep what to return beside the last layer's output; with `attentions` nothing is computed a second time
   */
  forward(
    x: Tensor,
    mask: Tensor | undefined,
    keep: { hiddenStates?: boolean; attentions?: boolean } = {},
  ): { last: Tensor; hiddenStates: Tensor[]; attentions: Tensor[] } {
    const hiddenStates = [x];
    const attentions: Tensor[] = [];
    let last = x;
    for (const layer of this.layer) {
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

  #forward(layer: EncoderLayer, x: Tensor, mask: Tensor | undefined): Tensor {
    const checkpoints = this.gradientCheckpointing && this.training;
    if (!checkpoints || !(x.requiresGrad || layer.parameters().some((p) => p.requiresGrad)))
      return layer.forward(x, mask);
    return checkpoint((x, mask) => layer.forward(x, mask), mask ? [x, mask] : [x]);
  }
}
