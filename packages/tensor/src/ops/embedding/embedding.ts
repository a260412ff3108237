import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { defaultGenerator } from "../../random.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { drawDrop } from "../dropout/draw.ts";
import { applyDrop } from "../dropout/dropout.ts";
import { addRows, checkIndex, selectRows, shareOf } from "../index/rows.ts";
import { addLayerNormTakes, type AddLayerNormOptions } from "../norm/layer-norm.ts";
import { checkRow, normalize, normGradients } from "../norm/norm.ts";
import bertCode from "./bert-embeddings.wgsl";
import positionCode from "./position-backward.wgsl";

const bertKernel = kernel("ops/embedding/bert-embeddings.wgsl", bertCode);
const positionKernel = kernel("ops/embedding/position-backward.wgsl", positionCode);

export interface EmbeddingOptions {
  /** The row whose gradient is 0; its forward is like any other's. */
  paddingIdx?: number | null | undefined;
}

const embeddingTakes = { paddingIdx: "number|null?" } as const;
const bertEmbeddingsTakes = { ...embeddingTakes, positionIds: "tensor?" } as const;

/**
 * y[…, :] = weight[ids[…], :]: weight [V, C] f32, ids of any shape (i32 or u32), y f32 [...ids, C]. An id outside 0 … V−1 gives
 * a row of NaN: check ids on the host, where they come from.
 *
 * The gradient of a row is the sum of dy over its ids, added in the same order every time: the ids are sorted on the device.
 */
export const embedding = defineOp("embedding", {
  takes: { weight: "tensor", ids: "tensor", options: embeddingTakes },
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

interface Tables {
  word: Tensor;
  position: Tensor;
  tokenType: Tensor;
}

/** Which rows of the tables are added up, and which row of `word` has no gradient. */
interface Places {
  ids: Tensor;
  types: Tensor;
  positionIds: Tensor | undefined;
  shapes: Record<keyof Tables, readonly number[]>;
  skip: number | undefined;
}

/**
 * y[b, t] = word[ids[b, t]] + tokenType[types[b, t]] + position[t], in one pass: tables [rows, C] f32, ids and types [B, T] (i32 or
 * u32), y f32 [B, T, C]. An id out of range gives a row of NaN.
 * @throws when T is more than `position` has rows
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py (BertEmbeddings)
 */
export const bertEmbeddings = defineOp("bertEmbeddings", {
  takes: {
    ...{ word: "tensor", position: "tensor", tokenType: "tensor", ids: "tensor", types: "tensor" },
    options: bertEmbeddingsTakes,
  },
  forward(
    word: Tensor,
    position: Tensor,
    tokenType: Tensor,
    ids: Tensor,
    types: Tensor,
    options: BertEmbeddingsOptions = {},
  ) {
    const tables = { word, position, tokenType };
    const { y, places } = addTables("bertEmbeddings", tables, ids, types, options);
    return { output: y, inputs: tables, saved: places };
  },
  backward: (places, dy, needs) => tableGradients(places, dy, needs),
});

export interface BertEmbeddingsNormOptions extends BertEmbeddingsOptions, AddLayerNormOptions {}

/**
 * dropout(layerNorm({@link bertEmbeddings})), which is all that comes before BERT's first layer, as one op: weight and bias [C]. Drops
 * what the op `dropout` would drop with the same generator.
 *
 * Two kernels, since one would bind eleven buffers and WebGPU promises eight: the sum h, which backward wants anyway, then the norm
 * with its dropout. Saves h and the generator's state.
 */
export const bertEmbeddingsNorm = defineOp("bertEmbeddingsNorm", {
  takes: {
    ...{ word: "tensor", position: "tensor", tokenType: "tensor", weight: "tensor", bias: "tensor" },
    ...{ ids: "tensor", types: "tensor" },
    options: { ...bertEmbeddingsTakes, ...addLayerNormTakes },
  },
  forward(
    word: Tensor,
    position: Tensor,
    tokenType: Tensor,
    weight: Tensor,
    bias: Tensor,
    ids: Tensor,
    types: Tensor,
    { eps = 1e-5, dropoutP = 0, generator = defaultGenerator, ...options }: BertEmbeddingsNormOptions = {},
  ) {
    const op = "bertEmbeddingsNorm";
    const tables = { word, position, tokenType };
    const { y: h, places } = addTables(op, tables, ids, types, options);
    const shape = h.shape.slice(-1);
    checkRow(op, "weight", weight, shape);
    checkRow(op, "bias", bias, shape);
    const drop = drawDrop(op, h.size, dropoutP, generator);
    const { y, saved: norm } = normalize({ x: h, weight, bias, cols: shape[0]!, center: true, drop }, eps);
    return { output: y, inputs: { ...tables, weight, bias }, saved: { places, norm, drop } };
  },
  backward({ places, norm, drop }, dy, needs) {
    const tables = needs.word || needs.position || needs.tokenType;
    const upstream = drop ? applyDrop(dy, drop) : dy;
    const { x: dh, ...affine } = normGradients(norm, dy.shape.slice(-1), upstream, {
      ...needs,
      x: tables,
      residual: false,
    });
    return { ...(dh && tableGradients(places, dh, needs)), weight: affine.weight, bias: affine.bias };
  },
});

/** The sum of the three tables' rows. */
function addTables(
  op: string,
  tables: Tables,
  ids: Tensor,
  types: Tensor,
  { paddingIdx, positionIds }: BertEmbeddingsOptions,
): { y: Tensor; places: Places } {
  const { word, position, tokenType } = tables;
  for (const [name, table] of Object.entries(tables) as [string, Tensor][]) {
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
  const INNER = wide ? width / 4 : width;
  const y = empty([rows, length, width]);
  const SHARE = shareOf(INNER);
  const count = (ids.size * INNER) / SHARE;
  const kernel = wide ? specialize(bertKernel, { Element: "vec4f", Bits: "vec4u" }) : bertKernel;
  const sizes = { words: word.shape[0]!, positions: position.shape[0]!, token_types: tokenType.shape[0]! };
  if (count > 0) {
    run(
      kernel,
      { word, position, token_type: tokenType, ids, types, position_ids: positionIds ?? ids, y },
      { count, length, ...sizes },
      { threads: count, overrides: { INNER, SHARE, GIVEN_POSITIONS: positionIds ? 1 : 0 } },
    );
  }
  const shapes = { word: word.shape, position: position.shape, tokenType: tokenType.shape };
  return { y, places: { ids, types, positionIds, shapes, skip } };
}

/** The gradients of the tables from that of their sum. */
function tableGradients(
  { ids, types, positionIds, shapes, skip }: Places,
  dy: Tensor,
  needs: Record<keyof Tables, boolean>,
): Partial<Tables> {
  return {
    ...(needs.word && { word: tableGradient(dy, ids, shapes.word, skip) }),
    ...(needs.tokenType && { tokenType: tableGradient(dy, types, shapes.tokenType) }),
    ...(needs.position && {
      position: positionIds ? tableGradient(dy, positionIds, shapes.position) : positionGradient(dy, shapes.position),
    }),
  };
}

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

/** Checks that `table` has rows of floats. */
export function checkTable(op: string, name: string, table: Tensor): void {
  check(
    table.rank === 2 && table.dtype === "f32",
    () => `${op}: ${name} is ${showShape(table.shape)} ${table.dtype}, but a table is [rows,C] of floats.`,
  );
}

/** The row that gets no gradient; negative ones count from the end, as in PyTorch. */
export function paddingRow(op: string, paddingIdx: number | null | undefined, n: number): number | undefined {
  if (paddingIdx === undefined || paddingIdx === null) return undefined;
  check(
    Number.isInteger(paddingIdx) && paddingIdx >= -n && paddingIdx < n,
    () => `${op}: paddingIdx ${paddingIdx} is not a row of a table of ${n} rows.`,
  );
  return paddingIdx < 0 ? paddingIdx + n : paddingIdx;
}
