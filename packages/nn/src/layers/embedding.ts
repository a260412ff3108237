import { argumentCheck, check, embedding, type Tensor } from "@gpugrad/tensor";
import { normal } from "../initializers.ts";
import { Module } from "../module.ts";
import { parameter } from "../parameter.ts";

const checkEmbedding = argumentCheck("Embedding", { count: "size", size: "size", paddingIdx: "index?" });

/**
 * A table of vectors, one for each id. Begins with N(0, 1), and 0 for padding.
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.Embedding.html
 */
export class Embedding extends Module {
  readonly weight: Tensor; // [count, size]
  /** The id whose vector gets no gradient. */
  readonly paddingIdx: number | undefined;

  constructor(count: number, size: number, paddingIdx?: number) {
    super();
    checkEmbedding([count, size, paddingIdx]);
    check(
      paddingIdx === undefined || (paddingIdx >= 0 && paddingIdx < count),
      () => `Embedding: paddingIdx: ${paddingIdx} is not one of ${count} ids.`,
    );
    this.paddingIdx = paddingIdx;
    this.weight = parameter([count, size], (table) => this.begin(table));
  }

  /** N(0, std²), and 0 for padding: for models that begin with another deviation. */
  begin(table: Tensor, std = 1): void {
    normal(table, { std });
    if (this.paddingIdx === undefined) return;
    const bytesPerRow = table.byteLength / table.shape[0]!;
    table.writeBytes(new Uint8Array(bytesPerRow), this.paddingIdx * bytesPerRow);
  }

  /** @param ids i32 [...] @returns [..., size] */
  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids, { paddingIdx: this.paddingIdx ?? null });
  }
}
