import {
  argumentCheck,
  check,
  checkOptions,
  fromArray,
  linear,
  logicalAnd,
  logicalNot,
  mean,
  permute,
  reshape,
  showShape,
  split,
  type Tensor,
} from "@gpugrad/tensor";
import { xavierUniform, zeros } from "../initializers.ts";
import { Module } from "../module.ts";
import { beginWith, parameter } from "../parameter.ts";
import { attend, attendWithProbabilities } from "./attend.ts";
import { Linear } from "./linear.ts";

/** Options of {@link MultiheadAttention}, with PyTorch's defaults. */
export interface MultiheadAttentionOptions {
  /** The probability of an attention weight to be dropped while training. Default 0. */
  dropout?: number;
  /** Whether the projections have biases. Default true. */
  bias?: boolean;
  /** Whether tensors are [B, T, E] rather than [T, B, E]. Default false. */
  batchFirst?: boolean;
}

/** Which keys are seen, and whether the weights are wanted. Masks are of bool, and **true hides** a key, as in PyTorch. */
export interface AttentionCall {
  /** [B, S]: keys that are padding. */
  keyPaddingMask?: Tensor;
  /** [T, S], or [B · H, T, S]: keys that a query must not see. */
  attnMask?: Tensor;
  /** Query i sees keys 0 … i only. */
  isCausal?: boolean;
  /** Whether to return the weights, which takes the plain formula. Default true. */
  needWeights?: boolean;
  /** Whether the weights are the mean over heads, [B, T, S], or each head's, [B, H, T, S]. Default true. */
  averageAttnWeights?: boolean;
}

/**
 * Attention of H heads, whose projections are one weight: softmax(q kᵀ / √D) v, then a linear layer.
 *
 * The projections begin by Xavier's rule, all biases with 0. Keys and values have the width of the queries.
 *
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.MultiheadAttention.html
 */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Tensor; // [3E, E]: of queries, keys, values
  readonly in_proj_bias: Tensor | undefined; // [3E]
  readonly out_proj: Linear<boolean>;
  readonly #heads: number;
  readonly #dropout: number;
  readonly #batchFirst: boolean;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    checkMade([embedDim, numHeads, options]);
    const { dropout = 0, bias = true, batchFirst = false } = options;
    check(
      embedDim % numHeads === 0,
      () => `MultiheadAttention: embedDim ${embedDim} is not a multiple of numHeads ${numHeads}.`,
    );
    this.in_proj_weight = parameter([3 * embedDim, embedDim], xavierUniform);
    this.in_proj_bias = bias ? parameter([3 * embedDim], zeros) : undefined;
    this.out_proj = new Linear(embedDim, embedDim, bias);
    if (this.out_proj.bias) beginWith(this.out_proj.bias, zeros);
    this.#heads = numHeads;
    this.#dropout = dropout;
    this.#batchFirst = batchFirst;
  }

  /**
   * @param query [T, B, E], or [B, T, E] with `batchFirst`
   * @param key [S, B, E] or [B, S, E]; `value` likewise
   * @returns the output, of query's shape; and the weights, before dropout, unless `needWeights` is false
   */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttentionCall = {},
  ): { output: Tensor; weights: Tensor | undefined } {
    checkOptions("MultiheadAttention", options, callTakes);
    const { needWeights = true, averageAttnWeights = true } = options;
    const E = this.in_proj_weight.shape[1]!;
    for (const [name, x] of Object.entries({ query, key, value }))
      check(
        x.rank === 3 && x.shape[2] === E,
        () =>
          `MultiheadAttention: ${name} is ${showShape(x.shape)}, not ${this.#batchFirst ? "[B, T" : "[T, B"}, ${E}].`,
      );
    const weights = split(this.in_proj_weight, E);
    const biases = this.in_proj_bias && split(this.in_proj_bias, E);
    const [q, k, v] = [query, key, value].map((x, i) => linear(this.#swap(x), weights[i]!, biases?.[i]));
    const mask = this.#mask([q!.shape[0]!, q!.shape[1]!, k!.shape[1]!], options);
    const how = { heads: this.#heads, mask, dropoutP: this.training ? this.#dropout : 0 };
    if (!needWeights) return { output: this.#finish(attend(q!, k!, v!, how)), weights: undefined };
    const { y, probabilities } = attendWithProbabilities(q!, k!, v!, how);
    return {
      output: this.#finish(y),
      weights: averageAttnWeights ? mean(probabilities, { dim: 1 }) : probabilities,
    };
  }

  /** Batches first, or back. */
  #swap(x: Tensor): Tensor {
    return this.#batchFirst ? x : permute(x, [1, 0, 2]);
  }

  #finish(y: Tensor): Tensor {
    return this.#swap(this.out_proj.forward(y));
  }

  /** All masks in one: true where a key may be seen. */
  #mask(
    [B, T, S]: [number, number, number],
    { keyPaddingMask, attnMask, isCausal = false }: AttentionCall,
  ): Tensor | undefined {
    const H = this.#heads;
    const masks: Tensor[] = [];
    const add = (name: string, mask: Tensor, shapes: [given: number[], full: number[]][]) => {
      const found = shapes.find(([given]) => given.join() === mask.shape.join());
      check(
        found && mask.dtype === "bool",
        () =>
          `MultiheadAttention: ${name} is ${mask.dtype} ${showShape(mask.shape)}; it may be bool ` +
          `${shapes.map(([given]) => showShape(given)).join(" or ")}, true where a key is hidden.`,
      );
      masks.push(logicalNot(reshape(mask, found[1])));
    };
    if (keyPaddingMask) add("keyPaddingMask", keyPaddingMask, [[[B, S], [B, 1, 1, S]]]); // prettier-ignore
    if (attnMask) add("attnMask", attnMask, [[[T, S], [1, 1, T, S]], [[B * H, T, S], [B, H, T, S]]]); // prettier-ignore
    if (isCausal) {
      const seen = Uint8Array.from({ length: T * S }, (_, i) => (i % S <= Math.floor(i / S) ? 1 : 0));
      masks.push(fromArray(seen, [1, 1, T, S], "bool"));
    }
    return masks.length > 0 ? masks.reduce((a, b) => logicalAnd(a, b)) : undefined;
  }
}

const checkMade = argumentCheck("MultiheadAttention", {
  ...{ embedDim: "size", numHeads: "size" },
  options: { dropout: "probability below 1?", bias: "boolean?", batchFirst: "boolean?" },
});
const callTakes = {
  keyPaddingMask: "tensor?",
  attnMask: "tensor?",
  isCausal: "boolean?",
  needWeights: "boolean?",
  averageAttnWeights: "boolean?",
} as const;
