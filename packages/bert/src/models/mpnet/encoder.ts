import {
  addNorm,
  attend,
  attendWithProbabilities,
  constant,
  Dropout,
  Embedding,
  LayerNorm,
  Linear,
  Module,
  type AttendOptions,
} from "@gpugrad/nn";
import {
  expand,
  numberDistances,
  relativeBias,
  reshape,
  transpose,
  type DistanceNumbers,
  type Tensor,
} from "@gpugrad/tensor";
import { ResidualOutput } from "../bert/attention.ts";
import { Intermediate } from "../bert/encoder.ts";
import { LayerStack, type StackedLayer } from "../layer-stack.ts";
import { BUCKETS, type MPNetConfig } from "./mpnet-config.ts";

/** Distances from which on all are in the last bucket. */
const FAR = 128;

/**
 * The bucket of each distance −(length − 1) … length − 1 from key to query: one for each of the nearest eight, then ever wider ones; keys
 * after the query have the second half of them. In float32, as PyTorch rounds.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/mpnet/modeling_mpnet.py (relative_position_bucket)
 */
export function distanceBuckets(length: number): number[] {
  const side = BUCKETS / 2;
  const exact = side / 2;
  const range = Math.fround(Math.log(FAR / exact));
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const part = Math.fround(Math.fround(Math.log(Math.fround(distance / exact))) / range);
    return Math.min(exact + Math.trunc(Math.fround(part * (side - exact))), side - 1);
  };
  return Array.from({ length: 2 * length - 1 }, (_, place) => {
    const distance = place - (length - 1);
    return bucketOf(Math.abs(distance)) + (distance < 0 ? side : 0);
  });
}

/** Queries, keys, values and what follows, under MPNet's short names. */
class SelfAttention extends Module {
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly o: Linear;
  readonly dropout: Dropout;

  constructor({ hidden_size: C, attention_probs_dropout_prob }: MPNetConfig) {
    super();
    this.q = new Linear(C, C);
    this.k = new Linear(C, C);
    this.v = new Linear(C, C);
    this.o = new Linear(C, C);
    this.dropout = new Dropout(attention_probs_dropout_prob);
  }
}

/** Attention with its residual and norm, which begin here, not in a part of their own. */
class Attention extends Module {
  readonly attn: SelfAttention;
  readonly LayerNorm: LayerNorm;
  readonly dropout: Dropout;
  readonly #heads: number;

  constructor(config: MPNetConfig) {
    super();
    this.attn = new SelfAttention(config);
    this.LayerNorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    this.dropout = new Dropout(config.hidden_dropout_prob);
    this.#heads = config.num_attention_heads;
  }

  forward(x: Tensor, bias: Tensor): Tensor {
    return this.#finish(attend(...this.#project(x), this.#how(bias)), x);
  }

  forwardWithProbabilities(x: Tensor, bias: Tensor): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = attendWithProbabilities(...this.#project(x), this.#how(bias));
    return { y: this.#finish(y, x), probabilities };
  }

  #project(x: Tensor): [q: Tensor, k: Tensor, v: Tensor] {
    return [this.attn.q.forward(x), this.attn.k.forward(x), this.attn.v.forward(x)];
  }

  #how(bias: Tensor): AttendOptions {
    return { heads: this.#heads, bias, dropoutP: this.attn.dropout.activeP };
  }

  #finish(heads: Tensor, x: Tensor): Tensor {
    return addNorm(this.attn.o.forward(heads), x, this.LayerNorm, this.dropout);
  }
}

/** One layer. The layers share what is added to the scores: the position bias, and float32's lowest where a key is masked. */
class Layer extends Module implements StackedLayer<Tensor> {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;

  constructor(config: MPNetConfig) {
    super();
    this.attention = new Attention(config);
    this.intermediate = new Intermediate(config);
    this.output = new ResidualOutput(config.intermediate_size, config);
  }

  forward(x: Tensor, bias: Tensor): Tensor {
    return this.#finish(this.attention.forward(x, bias));
  }

  forwardWithProbabilities(x: Tensor, bias: Tensor): { y: Tensor; probabilities: Tensor } {
    const { y, probabilities } = this.attention.forwardWithProbabilities(x, bias);
    return { y: this.#finish(y), probabilities };
  }

  #finish(attended: Tensor): Tensor {
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

/** The layers, and the table of relative positions that all of them use. */
export class Encoder extends LayerStack<Layer, Tensor> {
  readonly layer: Layer[];
  readonly relative_attention_bias: Embedding;
  readonly #buckets: DistanceNumbers;

  constructor(config: MPNetConfig) {
    super();
    this.layer = Array.from({ length: config.num_hidden_layers }, () => new Layer(config));
    this.relative_attention_bias = new Embedding(config.relative_attention_num_buckets, config.num_attention_heads);
    const { numbers, ranges } = numberDistances(distanceBuckets(config.max_position_embeddings));
    this.#buckets = { numbers: constant(numbers), ranges: constant(ranges) };
  }

  /** What is added to the scores of T tokens, [1, H, T, T]. */
  positionBias(T: number): Tensor {
    const { weight } = this.relative_attention_bias;
    const [buckets, H] = weight.shape as [number, number];
    const perHead = reshape(transpose(weight, 0, 1), [1, H, 1, buckets]);
    return relativeBias(expand(perHead, [1, H, T, buckets]), undefined, this.#buckets.numbers, this.#buckets.ranges);
  }

  override *ownConstants(): Generator<Tensor> {
    yield* Object.values(this.#buckets) as Tensor[];
  }

  protected override layers(): Layer[] {
    return this.layer;
  }
}
