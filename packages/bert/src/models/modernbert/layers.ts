import {
  activation,
  attend,
  attendWithProbabilities,
  Dropout,
  LayerNorm,
  Linear,
  Module,
  splitHeads,
  type AttendOptions,
} from "@gpugrad/nn";
import { add, mul, reshape, rotary, split, type Tensor } from "@gpugrad/tensor";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import { beginTruncated } from "./initializers.ts";
import type { LayerType, ModernBertConfig } from "./modernbert-config.ts";

/** What all layers compute with: the mask and the angles of their type. */
export type SharedByLayers = {
  /** bool [B, 1, 1, T], true where a key may be attended to. */
  mask: Tensor | undefined;
  /**
   * f32 [B, 1, T, T], added to local layers' scores where there is padding: float32's lowest where a key is masked or outside of the
   * query's window. A padded query whose window holds padding only attends to all keys alike then, as in Transformers' eager attention.
   */
  windows: Tensor | undefined;
} & { readonly [Key in `${LayerType}_${"cosine" | "sine"}`]: Tensor }; // of rotary positions, [T, D/2]

export const newNorm = ({ hidden_size, norm_eps, norm_bias }: ModernBertConfig): LayerNorm =>
  new LayerNorm(hidden_size, norm_eps, true, norm_bias);

/** Multi-head attention with rotary positions, to all tokens or to those in a window. */
class Attention extends Module {
  readonly Wqkv: Linear<boolean>;
  readonly Wo: Linear<boolean>;
  readonly dropout: Dropout;
  readonly out_drop: Dropout;
  readonly #heads: number;
  readonly #type: LayerType;
  readonly #window: number;

  constructor(config: ModernBertConfig, type: LayerType) {
    super();
    const { hidden_size: C, attention_bias, attention_dropout } = config;
    this.Wqkv = beginTruncated(new Linear(C, 3 * C, attention_bias), config, "in");
    this.Wo = beginTruncated(new Linear(C, C, attention_bias), config, "out");
    this.dropout = new Dropout(attention_dropout);
    this.out_drop = new Dropout(attention_dropout);
    this.#heads = config.num_attention_heads;
    this.#type = type;
    this.#window = config.reach;
  }

  forward(x: Tensor, shared: SharedByLayers): Tensor {
    return this.#finish(attend(...this.#project(x, shared), this.#how(shared)));
  }

  forwardWithProbabilities(x: Tensor, shared: SharedByLayers): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = attendWithProbabilities(...this.#project(x, shared), this.#how(shared));
    return { y: this.#finish(y), probabilities };
  }

  #project(x: Tensor, shared: SharedByLayers): [q: Tensor, k: Tensor, v: Tensor] {
    const [q, k, v] = split(this.Wqkv.forward(x), x.shape[2]!, { dim: 2 }) as [Tensor, Tensor, Tensor];
    const [cosine, sine] = [shared[`${this.#type}_cosine`], shared[`${this.#type}_sine`]];
    const turned = (t: Tensor): Tensor => reshape(rotary(splitHeads(t, this.#heads), cosine, sine), x.shape);
    return [turned(q), turned(k), v];
  }

  #how({ mask, windows }: SharedByLayers): AttendOptions {
    const how = { heads: this.#heads, dropoutP: this.dropout.activeP };
    if (this.#type === "full_attention") return { ...how, mask };
    return windows ? { ...how, bias: windows } : { ...how, mask, window: this.#window };
  }

  #finish(heads: Tensor): Tensor {
    return this.out_drop.forward(this.Wo.forward(heads));
  }
}

/** A feed-forward with a gate: act(first half) · second half. */
class MLP extends Module {
  readonly Wi: Linear<boolean>;
  readonly Wo: Linear<boolean>;
  readonly drop: Dropout;
  readonly #act: string;

  constructor(config: ModernBertConfig) {
    super();
    const { hidden_size: C, intermediate_size: F, mlp_bias } = config;
    this.Wi = beginTruncated(new Linear(C, 2 * F, mlp_bias), config, "in");
    this.Wo = beginTruncated(new Linear(F, C, mlp_bias), config, "out");
    this.drop = new Dropout(config.mlp_dropout);
    this.#act = config.hidden_activation;
  }

  forward(x: Tensor): Tensor {
    const both = this.Wi.forward(x);
    const [input, gate] = split(both, both.shape[2]! / 2, { dim: 2 }) as [Tensor, Tensor];
    return this.Wo.forward(this.drop.forward(mul(activation(this.#act)(input), gate)));
  }
}

/** One layer: attention, then the feed-forward, each after a norm ("pre-LN"), but for the first: its input is normalized already. */
class Layer extends Module implements StackedLayer<SharedByLayers> {
  readonly attn_norm?: LayerNorm;
  readonly attn: Attention;
  readonly mlp_norm: LayerNorm;
  readonly mlp: MLP;

  constructor(config: ModernBertConfig, type: LayerType, isFirst: boolean) {
    super();
    if (!isFirst) this.attn_norm = newNorm(config);
    this.attn = new Attention(config, type);
    this.mlp_norm = newNorm(config);
    this.mlp = new MLP(config);
  }

  forward(x: Tensor, shared: SharedByLayers): Tensor {
    return this.#finish(x, this.attn.forward(this.#normalized(x), shared));
  }

  forwardWithProbabilities(x: Tensor, shared: SharedByLayers): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attn.forwardWithProbabilities(this.#normalized(x), shared);
    return { y: this.#finish(x, y), probabilities };
  }

  #normalized(x: Tensor): Tensor {
    return this.attn_norm ? this.attn_norm.forward(x) : x;
  }

  #finish(x: Tensor, attended: Tensor): Tensor {
    const between = add(x, attended);
    return add(between, this.mlp.forward(this.mlp_norm.forward(between)));
  }
}

/** The layers by number: a model holds them as `layers`, so that their keys are `layers.0`, `layers.1`, … */
export class Layers extends LayerStack<Layer, SharedByLayers> {
  constructor(config: ModernBertConfig) {
    super();
    Object.assign(
      this,
      config.layer_types.map((type, i) => new Layer(config, type, i === 0)),
    );
  }

  protected override layers(): Layer[] {
    return Array.from(this.children(), ([, layer]) => layer as Layer);
  }
}
