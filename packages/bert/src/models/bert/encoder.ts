import { denseActivation, Linear, Module } from "@gpugrad/nn";
import type { Tensor } from "@gpugrad/tensor";
import type { LayersConfig } from "../encoder-config.ts";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import { Attention, ResidualOutput } from "./attention.ts";

/** The first half of the feed-forward: act(x · Wᵀ + b), [.., C] → [.., F]. */
export class Intermediate extends Module {
  readonly dense: Linear;
  readonly #act: string;

  constructor(config: LayersConfig) {
    super();
    this.dense = new Linear(config.hidden_size, config.intermediate_size);
    this.#act = config.hidden_act;
  }

  forward(x: Tensor): Tensor {
    return denseActivation(this.dense, x, this.#act);
  }
}

/** One layer: attention, then the feed-forward, each with residual and layer norm after it ("post-LN"). */
export class EncoderLayer extends Module implements StackedLayer {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;

  constructor(config: LayersConfig) {
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
export class Encoder extends LayerStack<EncoderLayer> {
  readonly layer: EncoderLayer[];

  constructor(config: LayersConfig) {
    super();
    this.layer = Array.from({ length: config.num_hidden_layers }, () => new EncoderLayer(config));
  }

  protected override layers(): EncoderLayer[] {
    return this.layer;
  }
}
