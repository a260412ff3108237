import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { sameShape, showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { mul } from "../elementwise/binary.ts";
import { logSoftmax } from "../softmax/softmax.ts";
import { klDiv } from "./elementwise-losses.ts";

/**
 * T² · KL(softmax(teacher / T) ‖ softmax(x / T)), summed over classes (the last dimension), averaged over the batch (the
 * first): x and teacher f32 [N,…,C]. T² keeps the gradient's size independent of `temperature`. It goes to x alone.
 *
 * @see https://arxiv.org/abs/1503.02531
 */
export const distillationLoss = checked(
  "distillationLoss",
  { x: "tensor", teacher: "tensor", options: { temperature: "number?" } },
  (x: Tensor, teacher: Tensor, { temperature = 1 }: { temperature?: number } = {}): Tensor => {
    check(
      sameShape(x.shape, teacher.shape),
      () =>
        `distillationLoss: x is ${showShape(x.shape)}, teacher ${showShape(teacher.shape)}; they have to be the same.`,
    );
    check(temperature > 0, () => `distillationLoss: temperature is ${temperature}; it has to be positive.`);
    const soften = (logits: Tensor): Tensor => logSoftmax(mul(logits, 1 / temperature));
    const divergence = klDiv(soften(x), soften(teacher), { reduction: "batchmean", logTarget: true });
    return mul(divergence, temperature * temperature);
  },
);
