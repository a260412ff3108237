// What GPT-2 and Llama share: who sees whom, the loss of the next token, and generating.
import { Module } from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import type { Tensor } from "@gpugrad/tensor";

/** Token ids [B, T], and which of them are padding (0). */
export interface DecoderInputs {
  input_ids: number[][];
  attention_mask?: number[][];
  /** Of GPT-2: 0, 1, … unless given. */
  position_ids?: number[][];
}

export interface DecoderOutput {
  /** [B, T, V] */
  logits: Tensor;
  /** What enters each layer, and what leaves the last norm. */
  hidden_states: Tensor[];
  /** The probabilities [B, H, T, T], if they were asked for. */
  attentions: Tensor[];
}

/** A model that predicts the next token; its property paths are the keys of Hugging Face's checkpoints. */
export abstract class Decoder extends Module {
  abstract forward(inputs: DecoderInputs, options?: { attentions?: boolean }): DecoderOutput;
}

export const ids = (rows: number[][]): Tensor => g.tensor(rows, "i32");

/** Which keys each query sees, bool [B, 1, T, T]: none after it, and no padding. */
export function visible({ input_ids, attention_mask }: DecoderInputs): Tensor {
  const T = input_ids[0]!.length;
  const causal = g.tril(g.ones([T, T], { dtype: "bool" }));
  if (!attention_mask) return g.reshape(causal, [1, 1, T, T]);
  const real = g.ne(g.tensor(attention_mask), 0);
  return g.logicalAnd(causal, g.reshape(real, [attention_mask.length, 1, 1, T]));
}

/** softmax(q kᵀ / √D) v for q, k and v [B, H, T, D]; `into` collects the probabilities, which the fused op never writes. */
export function attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, into?: Tensor[]): Tensor {
  if (!into) return g.scaledDotProductAttention(q, k, v, { mask });
  const scores = g.mul(g.matmul(q, k, { transposeB: true }), q.shape[3]! ** -0.5);
  const probabilities = g.softmax(g.where(mask, scores, -3.4028234663852886e38));
  into.push(probabilities);
  return g.matmul(probabilities, v);
}

/** [B, T, heads · D] → [B, heads, T, D], and back. */
export const split = (x: Tensor, heads: number): Tensor =>
  g.permute(g.reshape(x, [x.shape[0]!, x.shape[1]!, heads, -1]), [0, 2, 1, 3]);
export const merge = (x: Tensor): Tensor => g.flatten(g.permute(x, [0, 2, 1, 3]), { startDim: 2 });

/** The mean cross entropy of each token by what comes before it; labels are the input ids, -100 counts nothing. */
export function nextTokenLoss(logits: Tensor, labels: number[][]): Tensor {
  const before = g.slice(logits, [[], [0, -1]]);
  const next = labels.map((row) => row.slice(1));
  return g.crossEntropy(g.flatten(before, { endDim: 1 }), g.flatten(ids(next)));
}

/** How a token is chosen from logits [B, V]. */
export type Choose = (logits: Tensor, rows: readonly number[][]) => Promise<number[]>;

/** The likeliest token of each row. */
export const greedy: Choose = async (logits) => Array.from(await g.argmax(logits, { dim: -1 }).data());

/** The first token whose running sum of probabilities exceeds a number in [0, 1): a draw with these probabilities. */
export function draw(probabilities: ArrayLike<number>, uniform: number): number {
  let sum = 0;
  const at = Array.from(probabilities).findIndex((p) => (sum += p) > uniform);
  return at < 0 ? probabilities.length - 1 : at;
}

/**
 * Continues prompts, which are padded on the left, by up to `most` tokens; a row that has chosen `eos` goes on with padding.
 * @returns the new tokens of each row
 */
export async function generate(
  model: Decoder,
  prompts: { input_ids: number[][]; attention_mask?: number[][] },
  { most, choose = greedy, eos, pad = 0 }: { most: number; choose?: Choose; eos?: number; pad?: number },
): Promise<number[][]> {
  const rows = prompts.input_ids.map((row) => [...row]);
  const mask = rows.map((row, i) => prompts.attention_mask?.[i] ?? row.map(() => 1)).map((row) => [...row]);
  const ended = rows.map(() => false);
  const length = rows[0]!.length;
  for (let step = 0; step < most && !ended.every(Boolean); step++) {
    const tokens = await g.scope(async () => {
      const position_ids = mask.map((row) => {
        let real = 0;
        return row.map((one) => Math.max(0, (real += one) - 1));
      });
      const { logits } = model.forward({ input_ids: rows, attention_mask: mask, position_ids });
      return choose(g.select(logits, 1, -1), rows);
    });
    for (const [i, row] of rows.entries()) {
      row.push(ended[i] ? pad : tokens[i]!);
      mask[i]!.push(1);
      ended[i] ||= tokens[i] === eos;
    }
  }
  return rows.map((row) => row.slice(length));
}
