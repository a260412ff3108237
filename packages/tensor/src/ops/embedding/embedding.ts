import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { addRows, checkIndex, selectRows } from "../index/rows.ts";
import bertCode from "./bert-embeddings.wgsl";
import positionCode from "./position-backward.wgsl";

const bertKernel = kernel("ops/embedding/bert-embeddings.wgsl", bertCode);
const positionKernel = kernel("ops/embedding/position-backward.wgsl", positionCode);

export interface EmbeddingOptions {
  /** The row whose gradient is 0; its forward is like any other's. */
  paddingIdx?: number | null | undefined;
}

/**
 * y[…, :] = weight[ids[…], :]: weight [V, C] f32, ids of any shape (i32 or u32), y f32 [...ids, C]. An id outside 0 … V−1 gives
 * a row of NaN: check ids on the host, where they come from.
 *
 * The gradient of a row is the sum of dy over its ids, added in the same order every time: the ids are sorted on the device.
 */
export const embedding = defineOp("embedding", {
  forward(weight: Tensor, ids: Tensor, { paddingIdx }: EmbeddingOptions = {}) {
    checkTable("embedding", "weight", weight);
    checkIndex("embedding", ids);
    const [n, inner] = weight.shape as [number, number];
    const skip = paddingRow("embedding", paddingIdx, n);
    const y = empty([...ids.shape, inner]);
    selectRows(weight, ids, y, { outer: 1, n, inner });
    return { output: y, inputs: { weight }, saved: { ids, shape: weight.shape, skip } };
  },
  backward: ({ ids, shape, skip }, dy) => ({ weight: tableGradient(dy, ids, shape, skip) }),
});

export interface BertEmbeddingsOptions extends EmbeddingOptions {
  /** Rows of `position`, of the shape of `ids`; 0, 1, … along the last dimension unless given. */
  positionIds?: Tensor | undefined;
}

/**
 * y[b, t] = word[ids[b, t]] + tokenType[types[b, t]] + position[t], in one pass: tables [rows, C] f32, ids and types [B, T] (i32 or
 * u32), y f32 [B, T, C]. Layer norm and dropout come after it. An id out of range gives a row of NaN.
 * @throws when T is more than `position` has rows
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py (BertEmbeddings)
 */
export const bertEmbeddings = defineOp("bert_embeddings", {
  forward(
    word: Tensor,
    position: Tensor,
    tokenType: Tensor,
    ids: Tensor,
    types: Tensor,
    { paddingIdx, positionIds }: BertEmbeddingsOptions = {},
  ) {
    const op = "bert_embeddings";
    for (const [name, table] of Object.entries({ word, position, tokenType })) {
      checkTable(op, name, table);
      check(
        table.shape[1] === word.shape[1],
        () => `${op}: ${name} is ${showShape(table.shape)}, word ${showShape(word.shape)}: rows of different length.`,
      );
    }
    for (const index of [ids, types, positionIds ?? ids]) {
      checkIndex(op, index);
      check(
        index.rank === 2 && sameShape(index.shape, ids.shape),
        () => `${op}: ids ${showShape(ids.shape)}, but types or positionIds ${showShape(index.shape)}: all are [B,T].`,
      );
    }
    const [rows, length] = ids.shape as [number, number];
    check(
      positionIds || length <= position.shape[0]!,
      () => `${op}: ${length} tokens, but position has ${position.shape[0]} rows. Truncate the input.`,
    );
    const skip = paddingRow(op, paddingIdx, word.shape[0]!);
    const width = word.shape[1]!;
    const wide = width % 4 === 0;
    const inner = wide ? width / 4 : width;
    const y = empty([rows, length, width]);
    run(
      wide ? specialize(bertKernel, { Element: "vec4f", Bits: "vec4u" }) : bertKernel,
      { word, position, token_type: tokenType, ids, types, position_ids: positionIds ?? ids, y },
      {
        count: ids.size * inner,
        length,
        words: word.shape[0]!,
        positions: position.shape[0]!,
        token_types: tokenType.shape[0]!,
      },
      { threads: ids.size * inner, overrides: { INNER: inner, GIVEN_POSITIONS: positionIds ? 1 : 0 } },
    );
    const shapes = { word: word.shape, position: position.shape, tokenType: tokenType.shape };
    return { output: y, inputs: { word, position, tokenType }, saved: { ids, types, positionIds, shapes, skip } };
  },
  backward({ ids, types, positionIds, shapes, skip }, dy, needs) {
    return {
      word: needs.word ? tableGradient(dy, ids, shapes.word, skip) : undefined,
      tokenType: needs.tokenType ? tableGradient(dy, types, shapes.tokenType) : undefined,
      position: !needs.position
        ? undefined
        : positionIds
          ? tableGradient(dy, positionIds, shapes.position)
          : positionGradient(dy, shapes.position),
    };
  },
});

/** dtable[id] = Σ dy over the places where `ids` names the row. */
function tableGradient(dy: Tensor, ids: Tensor, shape: readonly number[], skip?: number): Tensor {
  const [n, inner] = shape as [number, number];
  return addRows(dy, ids, shape, { outer: 1, n, inner }, skip);
}

/** dposition[t] = Σ_b dy[b, t], 0 for positions that the batch does not reach. */
function positionGradient(dy: Tensor, shape: readonly number[]): Tensor {
  const [rows, length, width] = dy.shape as [number, number, number];
  const dposition = empty(shape);
  const size = dposition.size;
  run(positionKernel, { dy, dposition }, { size, rows, step: length * width }, { threads: size });
  return dposition;
}

function checkTable(op: string, name: string, table: Tensor): void {
  check(
    table.rank === 2 && table.dtype === "f32",
    () => `${op}: ${name} is ${showShape(table.shape)} ${table.dtype}, but a table is [rows,C] of floats.`,
  );
}

/** The row that gets no gradient; negative ones count from the end, as in PyTorch. */
function paddingRow(op: string, paddingIdx: number | null | undefined, n: number): number | undefined {
  if (paddingIdx === undefined || paddingIdx === null) return undefined;
  check(
    Number.isInteger(paddingIdx) && paddingIdx >= -n && paddingIdx < n,
    () => `${op}: paddingIdx ${paddingIdx} is no row of a table of ${n} rows.`,
  );
  return paddingIdx < 0 ? paddingIdx + n : paddingIdx;
}
