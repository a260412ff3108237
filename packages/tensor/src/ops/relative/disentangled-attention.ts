import { autocast, computeType } from "../../autocast.ts";
import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { backwardOf } from "../../op.ts";
import { showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { attention, type AttentionOptions, type Positions } from "../attention/attention.ts";
import { add } from "../elementwise/binary.ts";
import { where } from "../elementwise/where.ts";
import { matmul } from "../matmul/matmul.ts";
import { permute } from "../shape/permute.ts";
import { choosePositions, type PositionRung } from "./ladder.ts";
import { relativeBias, type DistanceNumbers } from "./relative-bias.ts";

/** Options of {@link disentangledAttention}. */
export interface DisentangledAttentionOptions extends Pick<AttentionOptions, "dropoutP" | "generator"> {
  /** What all three scores are multiplied by; 1/√D unless said otherwise. */
  scale?: number;
  /** The number of the first row of the tables; 0 unless said otherwise. */
  first?: number;
}

/** [B, T, H, D] → [B, H, T, D], without a tape; its own inverse. */
const headsFirst = (x: Tensor): Tensor => permute.definition.forward(x, [0, 2, 1, 3]).output;

/** What the scores of positions are made of, in forward and again in backward. */
interface Scored {
  q: Tensor;
  k: Tensor;
  keyPositions: Tensor | undefined;
  queryPositions: Tensor | undefined;
  numbers: Tensor;
  ranges: Tensor;
  mask: Tensor | undefined;
  first: number;
  scale: number;
  rung: PositionRung;
}

/** The products with the tables, and what attention is given of them. */
function scoresOf({ q, k, keyPositions, queryPositions, numbers, ranges, mask, first, scale, rung }: Scored) {
  const product = (x: Tensor, table: Tensor | undefined) =>
    table && matmul.definition.forward(headsFirst(x), headsFirst(table), { transposeB: true }); // [B, H, T, R]
  const [rows, columns] = [product(q, keyPositions), product(k, queryPositions)];
  const given: { mask?: Tensor | undefined; positions?: Positions | undefined } = {};
  rung.compute({
    positions: { rows: rows?.output, columns: columns?.output, numbers, first },
    ...{ ranges, mask, scale },
    attend: (added, positions) => Object.assign(given, { mask: added, positions }),
  });
  return { rows, columns, given };
}

/**
 * softmax(scale (qᵢ·kⱼ + qᵢ·K[r] + kⱼ·Q[r])) v, where r = numbers[i − j] − first: attention whose scores also say how far tokens are apart, by
 * tables K and Q of positions. All tensors are [B, T, H, D]; gradients flow to the tables too.
 *
 * What is saved for backward is no larger than q: the products with the tables, [B, H, T, R], are made again.
 *
 * @param keyPositions K, [1, R, H, D]; one of the two tables may be left out
 * @param queryPositions Q, likewise
 * @param distances from `numberDistances`
 * @param mask bool, broadcastable to [B, H, T, T]: where it is false a score is float32's lowest, so a query all of whose keys are masked
 * attends to all of them alike
 * @throws when the tables don't belong to q's heads
 * @see He et al., DeBERTa, 2021. https://arxiv.org/abs/2006.03654
 */
export const disentangledAttention = defineOp("disentangledAttention", {
  takes: {
    ...{ q: "tensor", k: "tensor", v: "tensor", keyPositions: "tensor?", queryPositions: "tensor?" },
    ...{ distances: "any", mask: "tensor?" },
    options: { scale: "number?", first: "number?", dropoutP: "number?", generator: "generator?" },
  },
  forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    keyPositions: Tensor | undefined,
    queryPositions: Tensor | undefined,
    distances: DistanceNumbers,
    mask?: Tensor,
    { first = 0, ...options }: DisentangledAttentionOptions = {},
  ) {
    const [heads, D] = q.shape.slice(2) as [number, number];
    check(keyPositions ?? queryPositions, "disentangledAttention: neither keyPositions nor queryPositions are given.");
    for (const [name, table] of Object.entries({ keyPositions, queryPositions }))
      check(
        !table || (table.rank === 4 && table.shape[0] === 1 && table.shape[2] === heads && table.shape[3] === D),
        () =>
          `disentangledAttention: ${name} is ${showShape(table!.shape)}, not [1, R, ${heads}, ${D}] as the heads of q.`,
      );
    const scale = options.scale ?? 1 / Math.sqrt(D);
    const rung = choosePositions({ headDim: D });
    const scored: Scored = { q, k, keyPositions, queryPositions, ...distances, mask, first, scale, rung };
    const { given } = scoresOf(scored);
    const how = { ...options, scale, layout: "BTHD" } as const;
    const { output, saved } = attention.definition.forward(q, k, v, given.mask, how, given.positions);
    return {
      output,
      inputs: { q, k, v, keyPositions, queryPositions },
      saved: { scored, attended: { ...saved, mask: undefined, positions: undefined }, precision: computeType() },
    };
  },
  backward({ scored, attended, precision }, dy, needs) {
    const { numbers, ranges, mask, first, scale } = scored;
    const { rows, columns, given } = autocast(() => scoresOf(scored), { dtype: precision });
    const fused = given.positions !== undefined;
    const own = { q: needs.q, k: needs.k, v: needs.v };
    const tables = {
      rows: rows !== undefined && (needs.q || needs.keyPositions),
      columns: columns !== undefined && (needs.k || needs.queryPositions),
    };
    const any = tables.rows || tables.columns;
    const wanted = fused ? { ...own, ...tables, mask: false } : { ...own, rows: false, columns: false, mask: any };
    const got = backwardOf(attention)({ ...attended, ...given }, dy, wanted);
    let dtables: { rows?: Tensor | undefined; columns?: Tensor | undefined } = got;
    if (!fused && any) {
      const { shape } = (rows ?? columns)!.output;
      const params = { length: shape[2]!, width: shape[3]!, first, middle: (numbers.size - 1) / 2, scale };
      const dbias = mask ? where(mask, got.mask!, 0) : got.mask!;
      dtables = backwardOf(relativeBias)({ ranges, shape, params }, dbias, tables);
    }
    /** On from a product, to what it is made of. */
    const through = (product: typeof rows, dtable: Tensor | undefined, a: boolean, b: boolean) =>
      product && dtable ? backwardOf(matmul)(product.saved, dtable, { a, b }) : {};
    const ofRows = through(rows, dtables.rows, needs.q, needs.keyPositions);
    const ofColumns = through(columns, dtables.columns, needs.k, needs.queryPositions);
    const also = (x: Tensor, y: Tensor | undefined): Tensor => (y ? add(x, headsFirst(y)) : x);
    return {
      q: needs.q ? also(got.q!, ofRows.a) : undefined,
      k: needs.k ? also(got.k!, ofColumns.a) : undefined,
      v: needs.v ? got.v : undefined,
      keyPositions: ofRows.b && headsFirst(ofRows.b),
      queryPositions: ofColumns.b && headsFirst(ofColumns.b),
    };
  },
});
