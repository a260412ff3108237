import { add, argumentCheck, check, checkOptions, type Tensor } from "@gpugrad/tensor";
import { activationNames, denseActivation, type Activation } from "../activations.ts";
import { Module } from "../module.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { MultiheadAttention, type AttentionCall } from "./multihead-attention.ts";
import { addNorm, LayerNorm } from "./norms.ts";

/** Options of {@link TransformerEncoderLayer}, with PyTorch's defaults. */
export interface TransformerEncoderLayerOptions {
  /** Width of the feed-forward. Default 2048. */
  dimFeedforward?: number;
  /** Dropout after each half, inside the feed-forward, and of attention weights. Default 0.1. */
  dropout?: number;
  /** Default `relu`. */
  activation?: Activation;
  /** Default 1e-5. */
  layerNormEps?: number;
  /** Whether tensors are [B, T, E] rather than [T, B, E]. Default false. */
  batchFirst?: boolean;
  /** Whether layer norm comes before each half ("pre-LN") rather than after it. Default false. */
  normFirst?: boolean;
  /** Whether linear layers and norms have biases. Default true. */
  bias?: boolean;
}

const checkMade = argumentCheck("TransformerEncoderLayer", {
  ...{ dModel: "size", nhead: "size" },
  options: {
    ...{ dimFeedforward: "size?", dropout: "probability below 1?", activation: activationNames },
    ...{ layerNormEps: "number from 0?", batchFirst: "boolean?", normFirst: "boolean?", bias: "boolean?" },
  },
});

/** Masks of {@link TransformerEncoderLayer}: of bool, where true hides a key. */
export interface TransformerEncoderLayerCall {
  /** [T, T], or [B · H, T, T]. */
  srcMask?: Tensor;
  /** [B, T]. */
  srcKeyPaddingMask?: Tensor;
  /** Each token sees itself and those before it. */
  isCausal?: boolean;
}

/**
 * Self-attention and a feed-forward, each with residual and layer norm.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.TransformerEncoderLayer.html
 */
export class TransformerEncoderLayer extends Module {
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear<boolean>;
  readonly dropout: Dropout;
  readonly linear2: Linear<boolean>;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly #activation: Activation;
  readonly #normFirst: boolean;

  constructor(dModel: number, nhead: number, options: TransformerEncoderLayerOptions = {}) {
    super();
    checkMade([dModel, nhead, options]);
    check(dModel % nhead === 0, () => `TransformerEncoderLayer: dModel ${dModel} is not a multiple of nhead ${nhead}.`);
    const { dimFeedforward = 2048, dropout = 0.1, layerNormEps = 1e-5, batchFirst = false, bias = true } = options;
    this.self_attn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, bias);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, bias);
    this.norm1 = new LayerNorm(dModel, layerNormEps, true, bias);
    this.norm2 = new LayerNorm(dModel, layerNormEps, true, bias);
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.#activation = options.activation ?? "relu";
    this.#normFirst = options.normFirst ?? false;
  }

  /** @param src [T, B, E], or [B, T, E] with `batchFirst` @returns its shape */
  forward(src: Tensor, options: TransformerEncoderLayerCall = {}): Tensor {
    checkOptions("TransformerEncoderLayer", options, callTakes);
    const { norm1, norm2, dropout1, dropout2 } = this;
    if (this.#normFirst) {
      const attended = add(src, dropout1.forward(this.#attend(norm1.forward(src), options)));
      return add(attended, dropout2.forward(this.#feedForward(norm2.forward(attended))));
    }
    const attended = addNorm(this.#attend(src, options), src, norm1, dropout1);
    return addNorm(this.#feedForward(attended), attended, norm2, dropout2);
  }

  #attend(x: Tensor, { srcMask, srcKeyPaddingMask, isCausal = false }: TransformerEncoderLayerCall): Tensor {
    const call: AttentionCall = {
      ...{ isCausal, needWeights: false },
      ...(srcMask && { attnMask: srcMask }),
      ...(srcKeyPaddingMask && { keyPaddingMask: srcKeyPaddingMask }),
    };
    return this.self_attn.forward(x, x, x, call).output;
  }

  #feedForward(x: Tensor): Tensor {
    const hidden = denseActivation(this.linear1, x, this.#activation);
    return this.linear2.forward(this.dropout.forward(hidden));
  }
}

const callTakes = { srcMask: "tensor?", srcKeyPaddingMask: "tensor?", isCausal: "boolean?" } as const;
