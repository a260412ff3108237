import { defineOp } from "../../define-op.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { sameShape, showShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { addRows, checkIndex } from "../index/rows.ts";
import { sum } from "../reduce/sum.ts";
import { reshape } from "../shape/reshape.ts";
import { checkTable, paddingRow, type EmbeddingOptions } from "./embedding.ts";
import forwardCode from "./embedding-bag.wgsl";
import backwardCode from "./embedding-bag-backward.wgsl";

const forwardKernel = kernel("ops/embedding/embedding-bag.wgsl", forwardCode);
const backwardKernel = kernel("ops/embedding/embedding-bag-backward.wgsl", backwardCode);

const modes = ["sum", "mean", "max"] as const;

/** Options of {@link embeddingBag}. */
export interface EmbeddingBagOptions extends EmbeddingOptions {
  /** What becomes of a bag's rows; their mean unless said otherwise, as in PyTorch. */
  mode?: (typeof modes)[number] | undefined;
  /** Where each bag begins in ids [L], from 0 and ascending, i32 or u32; a bag may be empty. Without, ids are [B, L]: a bag a row. */
  offsets?: Tensor | undefined;
  /** Whether the last of `offsets` is where the last bag ends, rather than where one more begins. */
  includeLastOffset?: boolean | undefined;
  /** What each row is multiplied by, of the shape of ids; for sums only. */
  perSampleWeights?: Tensor | undefined;
}

/**
 * Sums, means or largest elements of bags of rows of `weight` [V, C], as f32 [B, C], without the rows in memory. A bag without ids is 0.
 * Ids equal to `paddingIdx` are left out, of the mean's count too. An id outside 0 … V−1 gives NaN. Of equal elements the first is the
 * largest, and gets the whole gradient.
 *
 * @param ids [B, L], or [L] with `offsets`; i32 or u32
 * @see https://docs.pytorch.org/docs/2.9/generated/torch.nn.functional.embedding_bag.html
 */
export const embeddingBag = defineOp("embeddingBag", {
  takes: {
    ...{ weight: "tensor", ids: "tensor" },
    options: {
      ...{ mode: modes, offsets: "tensor?", includeLastOffset: "boolean?", perSampleWeights: "tensor?" },
      paddingIdx: "number|null?",
    },
  },
  forward(weight: Tensor, ids: Tensor, options: EmbeddingBagOptions = {}) {
    const { mode = "mean", offsets, includeLastOffset = false, perSampleWeights: scales, paddingIdx } = options;
    const op = "embeddingBag";
    checkTable(op, "weight", weight);
    checkIndex(op, ids);
    if (offsets) checkIndex(op, offsets);
    check(
      offsets ? ids.rank === 1 && offsets.rank === 1 && offsets.size >= +includeLastOffset : ids.rank === 2,
      () =>
        `${op}: ids ${showShape(ids.shape)} with ${offsets ? `offsets ${showShape(offsets.shape)}` : "no offsets"}. ` +
        `Bags are the rows of ids [B, L], or begin in ids [L] at offsets [B], which with includeLastOffset have one more.`,
    );
    check(offsets || !includeLastOffset, () => `${op}: includeLastOffset is for offsets, but there are none.`);
    check(!scales || mode === "sum", () => `${op}: perSampleWeights are for mode "sum", not "${mode}".`);
    check(
      !scales || (scales.dtype === "f32" && sameShape(scales.shape, ids.shape)),
      () =>
        `${op}: perSampleWeights are ${showShape(scales!.shape)} ${scales!.dtype}, not f32 like ids ${showShape(ids.shape)}.`,
    );
    const [rows, width] = weight.shape as [number, number];
    const bags = offsets ? offsets.size - +includeLastOffset : ids.shape[0]!;
    const skip = paddingRow(op, paddingIdx, rows);
    const places = {
      ...{ width, rows, skip: skip ?? 0xffffffff, length: offsets ? 0 : ids.shape[1]!, bags },
      ...{ bounds: offsets?.size ?? 0, total: ids.size, nan: NaN },
    };
    const y = empty([bags, width]);
    const winner = empty(mode === "max" ? y.shape : [1], "u32");
    const counts = empty([bags], "u32");
    const overrides = { MODE: modes.indexOf(mode), SCALED: scales ? 1 : 0 };
    const given = { weight, ids, offsets: offsets ?? ids, scales: scales ?? weight };
    run(forwardKernel, { ...given, y, winner, counts }, { ...places, size: y.size }, { threads: y.size, overrides });
    return {
      output: y,
      inputs: { weight, perSampleWeights: scales },
      saved: { given, scales, places, skip, overrides, winner, counts },
    };
  },
  backward({ given, scales, places, skip, overrides, winner, counts }, dy, needs) {
    const { weight, ids } = given;
    const { rows, width } = places;
    const ofPlaces = (OF_SCALES: 0 | 1): Tensor => {
      const drows = empty([ids.size, width]);
      run(
        backwardKernel,
        { dy, ...given, winner, counts, drows },
        { ...places, size: drows.size },
        { threads: drows.size, overrides: { ...overrides, OF_SCALES } },
      );
      return drows;
    };
    const inner = { outer: 1, n: rows, inner: width };
    return {
      ...(needs.weight && { weight: addRows(ofPlaces(0), ids, weight.shape, inner, skip) }),
      ...(needs.perSampleWeights &&
        scales && { perSampleWeights: reshape(sum(ofPlaces(1), { dim: -1 }), scales.shape) }),
    };
  },
});
