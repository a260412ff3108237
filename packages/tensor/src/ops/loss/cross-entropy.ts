import { defineOp } from "../../define-op.ts";
import { isFloat } from "../../dtype.ts";
import { check } from "../../errors.ts";
import { kernel, specialize } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv, sameShape, showShape } from "../../shape.ts";
import { fromArray } from "../../factories.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { device } from "../../runtime/init.ts";
import { workgroupFor, type Lines } from "../softmax/ladder.ts";
import { linesAlong } from "../softmax/softmax.ts";
import rowsBackwardCode from "./cross-entropy-rows-backward.wgsl";
import rowsCode from "./cross-entropy-rows.wgsl";
import totalCode from "./cross-entropy-total.wgsl";
import vectorsBackwardCode from "./cross-entropy-vectors-backward.wgsl";
import workgroupCode from "./cross-entropy-workgroup.wgsl";
import { reductions, type Reduction } from "./reduction.ts";

const rowsKernel = kernel("ops/loss/cross-entropy-rows.wgsl", rowsCode);
const workgroupKernel = kernel("ops/loss/cross-entropy-workgroup.wgsl", workgroupCode);
const totalKernel = kernel("ops/loss/cross-entropy-total.wgsl", totalCode);
const rowsBackwardKernel = kernel("ops/loss/cross-entropy-rows-backward.wgsl", rowsBackwardCode);
const vectorsBackwardKernel = kernel("ops/loss/cross-entropy-vectors-backward.wgsl", vectorsBackwardCode);

export interface CrossEntropyOptions {
  /** A weight for each class: f32 [C]. The mean then divides by the sum of the targets' weights. */
  weight?: Tensor | undefined;
  /** `none` gives a loss per row. */
  reduction?: Reduction;
  /** The part of the target's mass that is spread evenly over all classes, the right one included. */
  labelSmoothing?: number;
  /** Rows with this target count for nothing, in sum and mean. */
  ignoreIndex?: number;
}

/** Whether sharing a row pays: on a GPU, for contiguous rows of some length. Else each gets one invocation. */
const wantsWorkgroups = ({ cols, inner }: Lines): boolean => !device().adapter.cpu && inner === 1 && cols >= 32;

/** The specialization of forward for contiguous rows. */
const byVec4 = { Lanes: "vec4f", Places: "vec4u", WIDTH: 4, OFFSETS: "vec4u(0, 1, 2, 3)" };

const QUIET_NAN = 0x7fc00000;

/**
 * −ln softmax(x)[target], softmax and loss in one: x f32 [C], [N,C] or [N,C,d1,…] holds logits, classes in dimension 1; target
 * is integers in x's shape without C, or probabilities (f32) in x's shape. Gives a scalar, or with `reduction: "none"` one loss per row.
 * Logits [B,T,V] with labels [B,T] are taken too: where the labels don't fit classes in dimension 1, but fit them in the last. With T = V both
 * fit, and dimension 1 it is, as in PyTorch: reshape to [B·T,V] and [B·T] there.
 *
 * Of each row the maximum, the log-sum-exp above it and the target's mass are saved: dx follows from them and x.
 * A target that is not a class makes its row's loss NaN. Where every row is ignored, the mean is NaN and the sum 0.
 * The gradient goes to x alone.
 *
 * @throws when the shapes don't fit, or class weights are not [C].
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 */
export const crossEntropy = defineOp("crossEntropy", {
  takes: {
    ...{ x: "tensor", target: "tensor" },
    options: { weight: "tensor?", reduction: reductions, labelSmoothing: "number?", ignoreIndex: "index?" },
  },
  forward(x: Tensor, target: Tensor, options: CrossEntropyOptions = {}) {
    const { weight, reduction = "mean", labelSmoothing = 0, ignoreIndex = -100 } = options;
    check(x.rank >= 1, () => "crossEntropy: x is a scalar; logits have a dimension of classes: [C], [N,C] or [N,C,…].");
    const soft = isFloat(target.dtype);
    const rowsAt = (axis: number): number[] => x.shape.filter((_, i) => i !== axis);
    const second = x.rank === 1 ? 0 : 1;
    const last = x.rank - 1;
    const axis =
      !soft && !sameShape(target.shape, rowsAt(second)) && sameShape(target.shape, rowsAt(last)) ? last : second;
    const rowShape = rowsAt(axis);
    check(
      sameShape(target.shape, soft ? x.shape : rowShape),
      () =>
        `crossEntropy: logits ${showShape(x.shape)} with target ${showShape(target.shape)} of ${target.dtype}. ` +
        `Integers are class indices, of shape ${showShape(rowShape)}${last > 1 ? ` or ${showShape(rowsAt(last))}` : ""}; ` +
        `floats are probabilities, of x's shape.${soft && sameShape(target.shape, rowShape) ? ' Labels: target.to("i32").' : ""}`,
    );
    const cols = x.shape[axis]!;
    check(cols > 0, () => `crossEntropy: logits ${showShape(x.shape)} have no classes (dimension ${axis}).`);
    check(
      !weight || sameShape(weight.shape, [cols]),
      () => `crossEntropy: class weights are ${showShape(weight!.shape)}, but there are ${cols} classes.`,
    );
    check(
      labelSmoothing >= 0 && labelSmoothing <= 1,
      () => `crossEntropy: labelSmoothing is ${labelSmoothing}; it is a part of 1, between 0 and 1.`,
    );

    const lines = linesAlong("crossEntropy", x.shape, axis);
    const { rows, inner } = lines;
    const loss = empty(rowShape);
    const stats = empty([rows, 4]);
    const tensors = { x, target_of: target, weight: weight ?? x, loss, stats };
    const params = { rows, cols, ignore_index: ignoreIndex, smoothing: labelSmoothing, nan: QUIET_NAN };
    const switches = { SOFT: +soft, WEIGHT: +!!weight, SMOOTHING: +(labelSmoothing > 0) };
    if (wantsWorkgroups(lines)) {
      const overrides = { ...switches, SIZE: workgroupFor(cols) };
      run(workgroupKernel, tensors, params, { workgroups: rows, overrides });
    } else {
      const code = inner === 1 ? specialize(rowsKernel, byVec4) : rowsKernel;
      run(code, tensors, { ...params, inner }, { threads: rows, overrides: switches });
    }
    const saved = { x, target, weight, stats, switches, lines, labelSmoothing };
    if (reduction === "none") {
      return { output: loss, inputs: { x }, saved: { ...saved, scale: fromArray([1], [1]), perRow: true } };
    }
    const y = empty([]);
    const scale = empty([1]);
    const overrides = { MEAN: +(reduction === "mean") };
    run(totalKernel, { loss, stats, y, scale }, { rows }, { workgroups: 1, overrides });
    return { output: y, inputs: { x }, saved: { ...saved, scale, perRow: false } };
  },
  backward({ x, target, weight, stats, switches, lines, labelSmoothing, scale, perRow }, dy) {
    const dx = empty(x.shape);
    const tensors = { x, target_of: target, weight: weight ?? x, stats, dloss: dy, scale, dx };
    const { rows, cols, inner } = lines;
    const params = { rows, cols, smoothing: labelSmoothing };
    const overrides = { ...switches, PER_ROW: +perRow };
    if (wantsWorkgroups(lines)) {
      run(vectorsBackwardKernel, tensors, params, { threads: ceilDiv(x.size, 4), overrides });
    } else {
      run(rowsBackwardKernel, tensors, { ...params, inner }, { threads: rows, overrides });
    }
    return { x: dx };
  },
});
