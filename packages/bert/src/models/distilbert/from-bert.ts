import { setValue } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { BertConfig } from "../bert/bert-config.ts";
import type { PreTrainedModel } from "../pretrained.ts";
import { sizesOf, type PretrainedConfig } from "../pretrained-config.ts";
import { DistilBertConfig } from "./distilbert-config.ts";

/** A layer's parts in DistilBERT and in BERT. */
const layerParts = {
  "attention.q_lin": "attention.self.query",
  "attention.k_lin": "attention.self.key",
  "attention.v_lin": "attention.self.value",
  "attention.out_lin": "attention.output.dense",
  sa_layer_norm: "attention.output.LayerNorm",
  "ffn.lin1": "intermediate.dense",
  "ffn.lin2": "output.dense",
  output_layer_norm: "output.LayerNorm",
};
/** Other parts: the embeddings, and the head that guesses words. */
const otherParts = {
  "distilbert.embeddings.word_embeddings": "bert.embeddings.word_embeddings",
  "distilbert.embeddings.position_embeddings": "bert.embeddings.position_embeddings",
  "distilbert.embeddings.LayerNorm": "bert.embeddings.LayerNorm",
  vocab_transform: "cls.predictions.transform.dense",
  vocab_layer_norm: "cls.predictions.transform.LayerNorm",
  vocab_projector: "cls.predictions.decoder",
};

/**
 * The configuration of a DistilBERT that can begin with so many layers of this BERT: its sizes, dropout, vocabulary and labels.
 * @throws {@link GpugradError} for a model of another family, whose layers don't fit
 */
export function studentConfig(teacher: PretrainedConfig, layers: number): DistilBertConfig {
  const { model_type } = teacher;
  check(
    teacher instanceof BertConfig && model_type === "bert",
    () =>
      `studentConfig: a DistilBERT begins with the layers of a BERT, but the teacher is a ${model_type}. Name a student.`,
  );
  layersForStudent(teacher.num_hidden_layers, layers); // there are as many
  const { vocab_size, max_position_embeddings, initializer_range, pad_token_id, tie_word_embeddings } = teacher;
  return new DistilBertConfig({
    ...{ vocab_size, max_position_embeddings, initializer_range, pad_token_id, tie_word_embeddings },
    ...{ n_layers: layers, dim: teacher.hidden_size, n_heads: teacher.num_attention_heads },
    ...{ hidden_dim: teacher.intermediate_size, activation: teacher.hidden_act },
    ...{ dropout: teacher.hidden_dropout_prob, attention_dropout: teacher.attention_probs_dropout_prob },
    ...{ id2label: teacher.id2label, label2id: teacher.label2id, problem_type: teacher.problem_type },
  });
}

/**
 * Which of a teacher's layers a student with fewer layers begins with: those of DistilBERT's own script for 6 of 12, else evenly spaced from
 * the first one on; every second one for half as many, also where the teacher's number is odd.
 */
export function layersForStudent(teacherLayers: number, studentLayers: number): number[] {
  check(
    studentLayers <= teacherLayers,
    () =>
      `layersForStudent: a student of ${studentLayers} layers can't begin with those of a teacher of ${teacherLayers}.`,
  );
  if (teacherLayers === 12 && studentLayers === 6) return [0, 2, 4, 7, 9, 11];
  return Array.from({ length: studentLayers }, (_, i) => Math.ceil((i * teacherLayers) / studentLayers));
}

/**
 * Gives a DistilBERT the weights of a BERT: embeddings, the teacher's layers of these numbers, and the head that guesses words where both
 * have one. Token types, pooler and classifiers have no counterpart: the student's stay as they are.
 *
 * @param layers one number per layer of the student; {@link layersForStudent} unless said otherwise
 * @returns the keys of the student that were written, each with the teacher's
 * @throws {@link GpugradError} when a layer does not exist, or shapes differ
 * @see https://arxiv.org/abs/1910.01108
 */
export function startFromTeacher(
  student: PreTrainedModel,
  teacher: PreTrainedModel,
  layers?: readonly number[],
): Map<string, string> {
  const [S, L] = [student, teacher].map(({ config }) => sizesOf(config).num_hidden_layers!) as [number, number];
  const chosen = layers ?? layersForStudent(L, S);
  check(
    chosen.length === S && chosen.every((layer) => Number.isInteger(layer) && layer >= 0 && layer < L),
    () => `startFromTeacher: layers ${chosen.join(", ")} are not ${S} of the teacher's 0 … ${L - 1}.`,
  );
  const parts = new Map(Object.entries(otherParts));
  for (const [i, layer] of chosen.entries())
    for (const [own, theirs] of Object.entries(layerParts))
      parts.set(`distilbert.transformer.layer.${i}.${own}`, `bert.encoder.layer.${layer}.${theirs}`);

  const withPrefix = (model: PreTrainedModel, prefix: string) =>
    new Map([...model.namedTensors()].map(([key, tensor]) => [prefix in model || !/^(embeddings|encoder|transformer)\./.test(key) ? key : `${prefix}.${key}`, [key, tensor] as const])); // prettier-ignore
  const from = withPrefix(teacher, "bert");
  const copied = new Map<string, string>();
  for (const [key, [ownKey, parameter]] of withPrefix(student, "distilbert")) {
    const [, part, name] = /^(.*)\.(weight|bias)$/.exec(key)!;
    const source = from.get(`${parts.get(part!)}.${name}`);
    if (!source) continue;
    const [theirKey, value] = source;
    check(
      value.shape.join() === parameter.shape.join(),
      () =>
        `startFromTeacher: ${ownKey} is [${parameter.shape.join()}], the teacher's ${theirKey} is [${value.shape.join()}].`,
    );
    setValue(parameter, () => value);
    copied.set(ownKey, theirKey);
  }
  return copied;
}
