import {
  add,
  bceWithLogits,
  cast,
  cosineSimilarity,
  distillationLoss,
  div,
  fromArray,
  GpugradError,
  klDiv,
  logSoftmax,
  mean,
  mseLoss,
  mul,
  ne,
  reshape,
  sigmoid,
  sub,
  sum,
  Tensor,
} from "@gpugrad/tensor";
import type { NamedArray } from "../../data/batch.ts";
import { IGNORED } from "../token-classification/encode-words.ts";
import type { ModelOutput } from "../task.ts";

/** An input of a batch on the device. */
export const placed = (input: NamedArray | Tensor): Tensor =>
  input instanceof Tensor ? input : fromArray(input.data, input.shape, input.dtype);

interface Setting {
  temperature: number;
  labels: NamedArray | Tensor | undefined;
}

type Comparison = (student: ModelOutput, teacher: ModelOutput, setting: Setting) => Tensor;

/** How far a student's logits are from its teacher's, by what they are logits of: a scalar, the mean over what is predicted. */
export const comparisons = {
  /** One class for each row. */
  classes: ({ logits }, teacher, { temperature }) => distillationLoss(logits, teacher.logits, { temperature }),
  /** Any number of classes for each row: the divergence of each class by itself, the mean over all. */
  "label sets"({ logits }, teacher, { temperature: T }) {
    const [own, theirs] = [mul(logits, 1 / T), mul(teacher.logits, 1 / T)];
    const probabilities = sigmoid(theirs);
    return mul(sub(bceWithLogits(own, probabilities), bceWithLogits(theirs, probabilities)), T * T);
  },
  /** A number, which has no temperature. */
  numbers: ({ logits }, teacher) => mseLoss(logits, teacher.logits),
  /** A class for each token that has a label. */
  tokens({ logits }, teacher, { temperature: T, labels }) {
    const soften = (x: Tensor): Tensor => logSoftmax(mul(x, 1 / T));
    const each = sum(klDiv(soften(logits), soften(teacher.logits), { reduction: "none", logTarget: true }), { dim: 2 });
    return mul(meanWhere(each, ne(placed(labels!), IGNORED)), T * T);
  },
  /** The first and the last token of an answer: the mean of the two. */
  spans(student, teacher, { temperature }) {
    const of = (name: string): Tensor => distillationLoss(student[name] as Tensor, teacher[name] as Tensor, { temperature }); // prettier-ignore
    return mul(add(of("start_logits"), of("end_logits")), 0.5);
  },
} satisfies Record<string, Comparison>;

/** What logits may be of. */
export type ComparisonName = keyof typeof comparisons;

/**
 * 1 − cos of the angle between the last hidden states of student and teacher, the mean over the tokens that are no padding.
 * @throws where a model gives no hidden states, or the two have different widths
 */
export function cosineDistance(
  student: ModelOutput,
  teacher: ModelOutput,
  mask: NamedArray | Tensor | undefined,
): Tensor {
  const [own, theirs] = [student, teacher].map(({ hidden_states: states }) => (states as readonly Tensor[] | undefined)?.at(-1)); // prettier-ignore
  if (!own || !theirs)
    throw new GpugradError(`distillation: alphaCos compares hidden states, which the ${own ? "teacher" : "student"} doesn't give: leave it out.`); // prettier-ignore
  const [width, wanted] = [own.shape.at(-1), theirs.shape.at(-1)];
  if (width !== wanted)
    throw new GpugradError(`distillation: alphaCos compares hidden states of one width, but the student's have ${width} and the teacher's ${wanted}: leave it out.`); // prettier-ignore
  const apart = sub(1, cosineSimilarity(own, theirs, { dim: 2 }));
  return mask ? meanWhere(apart, reshape(placed(mask), apart.shape)) : mean(apart);
}

/** The mean of x where `counts` isn't 0. */
function meanWhere(x: Tensor, counts: Tensor): Tensor {
  const weights = cast(counts, "f32");
  return div(sum(mul(x, weights)), sum(weights));
}
