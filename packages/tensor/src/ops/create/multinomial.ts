import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { scope } from "../../scope.ts";
import { showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { add } from "../elementwise/binary.ts";
import { log, neg } from "../elementwise/unary.ts";
import { argmax } from "../reduce/extremes.ts";
import { unsqueeze } from "../shape/reshape.ts";
import { topk } from "../sort/sort.ts";
import { uniform, type RandomOptions } from "./random.ts";

/** Whether a number may be drawn more than once (false). */
export interface MultinomialOptions extends RandomOptions {
  replacement?: boolean | undefined;
}

/**
 * `numSamples` numbers for each row of weights (not negative; they need not add up to 1), drawn with these as probabilities: i32
 * [..., numSamples]. The largest of ln w plus Gumbel noise is such a draw, and the k largest are k without replacement.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.multinomial.html
 * @see https://arxiv.org/abs/1903.06059
 */
export const multinomial = checked(
  "multinomial",
  { weights: "tensor", numSamples: "index", options: { replacement: "boolean?", generator: "generator?" } },
  (weights: Tensor, numSamples: number, { replacement = false, generator }: MultinomialOptions = {}): Tensor => {
    const n = weights.shape.at(-1) ?? 0;
    check(
      numSamples >= 1 && (replacement ? n > 0 : numSamples <= n),
      () => `multinomial: ${numSamples} of the ${n} numbers of ${showShape(weights.shape)}. Set replacement for more.`,
    );
    return scope(() => {
      const rows = weights.shape.slice(0, -1);
      const draws = replacement ? [...rows, numSamples, n] : [...rows, n];
      // 2⁻²⁵ instead of 0: half of the smallest number that is drawn.
      const noise = neg(log(neg(log(uniform(draws, { low: 2 ** -25, high: 1, ...(generator && { generator }) })))));
      const scores = add(log(replacement ? unsqueeze(weights, -2) : weights), noise);
      return replacement ? argmax(scores, { dim: -1 }) : topk(scores, numSamples).indices;
    });
  },
);
