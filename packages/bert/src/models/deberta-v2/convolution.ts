import { activation, Dropout, initializers, LayerNorm, Module, parameter } from "@gpugrad/nn";
import { add, concat, linear, mul, pad, permute, reshape, slice, type Tensor } from "@gpugrad/tensor";
import type { DebertaLayer, SharedByLayers } from "../deberta/layer.ts";
import type { StackedLayer } from "../layer-stack.ts";
import type { DebertaV2Config } from "./deberta-v2-config.ts";

/** Over K neighbouring tokens, in groups of channels: y_t = b + Σ_k W_k x_{t + k − (K − 1) / 2}. */
class Convolution extends Module {
  readonly weight: Tensor; // [C, C / groups, K]
  readonly bias: Tensor; // [C]

  constructor({ hidden_size: C, conv_kernel_size, conv_groups = 1, initializer_range: std }: DebertaV2Config) {
    super();
    this.weight = parameter([C, C / conv_groups, conv_kernel_size!], (w) => initializers.normal(w, { std }));
    this.bias = parameter([C], initializers.zeros);
  }

  /** As a product: the neighbours side by side, with the weight likewise. @param x [B, T, C] */
  forward(x: Tensor): Tensor {
    const [, T, C] = x.shape as [number, number, number];
    const [, width, K] = this.weight.shape as [number, number, number];
    const padded = pad(x, [0, 0, (K - 1) / 2, (K - 1) / 2]);
    const weights = reshape(permute(this.weight, [0, 2, 1]), [C, K * width]);
    const groups = Array.from({ length: C / width }, (_, g) => {
      const channels = [g * width, (g + 1) * width] as const;
      const neighbours = Array.from({ length: K }, (_, k) => slice(padded, [[], [k, k + T], channels]));
      return linear(concat(neighbours, { dim: 2 }), slice(weights, [channels]), slice(this.bias, [channels]));
    });
    return groups.length === 1 ? groups[0]! : concat(groups, { dim: 2 });
  }
}

/** The convolution beside the first layer: norm(layer's output + act(dropout(convolution of its input))), 0 for padding. */
export class ConvLayer extends Module {
  readonly conv: Convolution;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;
  readonly #act: string;

  constructor(config: DebertaV2Config) {
    super();
    this.conv = new Convolution(config);
    this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.#act = config.conv_act ?? "tanh";
  }

  /** @param x what entered the layer @param y what came out of it @param tokens f32 [B, T, 1], 0 for padding */
  forward(x: Tensor, y: Tensor, tokens: Tensor | undefined): Tensor {
    const unmasked = (t: Tensor): Tensor => (tokens ? mul(t, tokens) : t);
    const convolved = activation(this.#act)(this.dropout.forward(unmasked(this.conv.forward(x))));
    return unmasked(this.LayerNorm.forward(add(y, convolved)));
  }
}

/** A layer with the convolution beside it, as one layer of the stack. */
export class ConvolvedLayer extends Module implements StackedLayer<SharedByLayers> {
  readonly layer: DebertaLayer;
  readonly conv: ConvLayer;

  constructor(layer: DebertaLayer, conv: ConvLayer) {
    super();
    this.layer = layer;
    this.conv = conv;
  }

  forward(x: Tensor, shared: SharedByLayers): Tensor {
    return this.conv.forward(x, this.layer.forward(x, shared), shared.tokens);
  }

  forwardWithProbabilities(x: Tensor, shared: SharedByLayers): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.layer.forwardWithProbabilities(x, shared);
    return { y: this.conv.forward(x, y, shared.tokens), probabilities };
  }
}
