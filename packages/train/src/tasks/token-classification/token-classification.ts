import { checkInputs, type Tokenizer } from "@gpugrad/bert";
import type { Dataset } from "../../data/dataset.ts";
import { entityF1, entityScores, isEntityTag, tagAccuracy } from "../../metrics/entities.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import { formatTable } from "../../format.ts";
import { mistakesOf, type Findings } from "../../report/findings.ts";
import type { LabelConfig } from "../sequence-classification/names.ts";
import type { Evaluated, Found, Task } from "../task.ts";
import { alongTokens, encodeWords, IGNORED, shiftsOf, type EncodedWords } from "./encode-words.ts";

export interface TokenClassificationOptions {
  /** All tokens of a word are to have its tag, not only the first (default false). Flag: `--label_all_tokens`. */
  labelAllTokens?: boolean;
}

/** The tags of a sentence, of those tokens that count: one for each word, as far as the sentence fits. */
export interface SentenceTags {
  predicted: readonly number[];
  labels: readonly number[] | undefined;
  /** Whether all logits are finite. */
  isFinite: boolean;
}

/** The tags of sentences by name. */
export interface TagPredictions extends Found {
  predictions: string[][];
  labels: string[][] | undefined;
  /** Sentences of which a logit is NaN or infinite. */
  nonFinite: number[];
}

/**
 * A tag for each word, such as those of names of people and places. A word's tag is on its first token.
 * @param config of the model: its `id2label` names the tags
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/examples/pytorch/token-classification/run_ner.py
 */
export function tokenClassification(
  config: Pick<LabelConfig, "num_labels" | "id2label">,
  { labelAllTokens = false }: TokenClassificationOptions = {},
): Task<TagPredictions, SentenceTags> {
  const nameOf = (id: number): string => config.id2label[id] ?? `LABEL_${id}`;
  const names = Array.from({ length: config.num_labels }, (_, id) => nameOf(id));
  const ids = new Map(names.map((name, id) => [name, id]));
  const insideOf = (tag: number): number => ids.get(nameOf(tag).replace(/^B-/, "I-")) ?? tag;
  const areEntities = names.every(isEntityTag);
  return {
    name: "token-classification",
    encode: (rows, tokenizer, maxLength) =>
      encodeWords(tokenizer as Tokenizer, rows, maxLength, { labelAllTokens, insideOf }),
    collate(rows, pad) {
      const arrays = pad(rows);
      const tags = rows.flatMap((row) => (row["tokenTags"] ? [row["tokenTags"] as ArrayLike<number>] : []));
      return tags.length < rows.length ? arrays : { ...arrays, labels: alongTokens(arrays, tags, IGNORED) };
    },
    example: (length) => ({ tokenTags: new Int32Array(length) }),
    check: ({ labels }, model) => checkInputs(model.config, { classes: labels?.data }),
    weightOf: ({ arrays: { labels }, rows }) =>
      labels ? Array.from(labels.data).filter((label) => label !== IGNORED).length : rows.length,
    problemWith: ({ classWeights }) =>
      classWeights === null ? undefined : "classWeights are for whole texts, not for tokens",
    decode({ logits }, { arrays, encoded }) {
      const [T, L] = [logits!.shape[1]!, logits!.shape[2]!];
      return shiftsOf(arrays).map((shift, b) => {
        const { counted, tokenTags } = encoded![b] as EncodedWords;
        const own = counted.map((t) => logits!.data.subarray((b * T + shift + t) * L, (b * T + shift + t + 1) * L));
        return {
          predicted: own.map((row) => row.indexOf(Math.max(...row))),
          labels: tokenTags && counted.map((t) => tokenTags[t]!),
          isFinite: own.every((row) => row.every(Number.isFinite)),
        };
      });
    },
    gather(rows) {
      const labelled = rows.length > 0 && rows.every(({ labels }) => labels);
      return {
        predictions: rows.map(({ predicted }) => predicted.map(nameOf)),
        labels: labelled ? rows.map(({ labels }) => labels!.map(nameOf)) : undefined,
        nonFinite: rows.flatMap(({ isFinite }, i) => (isFinite ? [] : [i])),
      };
    },
    metrics({ predictions, labels, nonFinite }) {
      const scores = areEntities ? entityF1(labels, predictions) : {};
      const metrics = { ...scores, accuracy: tagAccuracy(labels, predictions) };
      return nonFinite.length === 0 ? metrics : Object.fromEntries(Object.keys(metrics).map((name) => [name, NaN]));
    },
    metricNames: ["loss", ...(areEntities ? ["precision", "recall", "f1"] : []), "accuracy"],
    findings: tagFindings,
    summary({ metrics, predictions, labels }, unit) {
      const { runtime: _, ...plain } = plainMetrics(metrics);
      const table = areEntities ? `${formatTable(entityTable(labels, predictions))}\n\n` : "";
      const f1 = areEntities ? `F1 ${(100 * (plain["f1"] ?? NaN)).toFixed(2)} %, ` : "";
      return `${f1}accuracy ${(100 * (plain["accuracy"] ?? NaN)).toFixed(2)} % on ${labels.length} ${unit}\n\n${table}${metricsTable(plain)}`;
    },
    output: `${config.num_labels} tags`,
    card: {
      ...{ tag: "token-classification", name: "Token Classification", labels: names },
      usage: (repository) =>
        `from transformers import pipeline\n\nmodel = pipeline("token-classification", model=${JSON.stringify(repository)}, aggregation_strategy="simple")\nmodel("A text of your own.")`,
    },
  };
}

/** Precision, recall and F1 of each type of entities, for people. */
function entityTable(labels: string[][], predictions: string[][]): string[][] {
  return [
    ["", "precision", "recall", "f1-score", "support"],
    ...entityScores(labels, predictions).map(({ type, precision, recall, f1, support }) => [
      type,
      ...[precision, recall, f1].map((value) => value.toFixed(4)),
      String(support),
    ]),
  ];
}

/** Scores by type, and the sentences with most wrong tags. */
async function tagFindings({ predictions, labels, nonFinite, dataset }: Evaluated<TagPredictions>): Promise<Findings> {
  const counts = { rows: predictions.length, nonFinite: nonFinite.length };
  if (!labels) return { ...counts, nonFinite: 0, mistakes: [], wrong: 0 };
  const wrong = predictions.map((tags, i) => tags.flatMap((tag, t) => (tag === labels[i]![t] ? [] : [t])));
  const order = [...wrong.keys()].filter((i) => wrong[i]!.length > 0 && !nonFinite.includes(i)).sort((i, j) => wrong[j]!.length - wrong[i]!.length); // prettier-ignore
  const words = await wordsOf(dataset, order.slice(0, 20));
  const shown = (i: number, tags: readonly string[]): string =>
    wrong[i]!.map((t) => `${words.get(i)?.[t] ?? `word ${t + 1}`}: ${tags[t]}`).join(" · ");
  const isTagged = [...labels.flat(), ...predictions.flat()].every(isEntityTag);
  return {
    ...counts,
    mistakes: await mistakesOf(dataset, order, (i) => ({ label: shown(i, labels[i]!), predicted: shown(i, predictions[i]!), score: wrong[i]!.length / labels[i]!.length })), // prettier-ignore
    wrong: order.length,
    ...(isTagged && {
      tables: [
        {
          title: "By type of entity",
          columns: ["type", "precision", "recall", "F1", "entities"],
          rows: entityScores(labels, predictions).map(({ type, precision, recall, f1, support }) => [
            type,
            ...[precision, recall, f1].map((value) => value.toFixed(3)),
            support,
          ]),
        },
      ],
    }),
  };
}

/** The words of some sentences. */
async function wordsOf(dataset: Dataset, rows: readonly number[]): Promise<Map<number, readonly string[]>> {
  const read = async (i: number) => [i, (await dataset.row(i))["words"] as readonly string[]] as const;
  return new Map(await Promise.all(rows.map(read)));
}
