import { normalizeVectors, poolingWeights, poolWith, sentenceFiles, sentenceTexts, type BaseModel, type SentenceSettings, type Tokenizer } from "@gpugrad/bert"; // prettier-ignore
import { fromArray, GpugradError, reshape, select, Tensor } from "@gpugrad/tensor";
import { encodeRows, type Arrays, type EncodedRow, type Inputs } from "../../data/batch.ts";
import { DataError } from "../../errors.ts";
import { pearsonr, spearmanr } from "../../metrics/regression.ts";
import { SIMILARITIES } from "../../metrics/similarity.ts";
import { metricsTable, plainMetrics } from "../../metrics/table.ts";
import type { Found, Task } from "../task.ts";
import { chooseLoss, SENTENCE_LOSSES, type SentenceLossName } from "./choose-loss.ts";
import type { SentenceColumns, SentenceRow } from "./dataset.ts";

export interface SentenceEmbeddingOptions {
  /** What the rows are like: see `sentenceColumns`. */
  columns: SentenceColumns;
  /** How vectors are made: see `readSentenceSettings`. */
  settings: SentenceSettings;
  /** Numbers in the vector of a token. */
  hiddenSize: number;
  /** Default: the usual one for the columns. */
  loss?: SentenceLossName | undefined;
}

/** The vectors of the texts of a row, and its score; where the task has no scores 0: the first candidate is the right one. */
export interface RowVectors {
  vectors: readonly Float32Array[];
  label: number | undefined;
}

export interface SentenceVectors extends Found {
  /** Of each row, of each of its texts. */
  vectors: readonly (readonly Float32Array[])[];
  labels: readonly number[] | undefined;
}

/** Positives that an anchor's own is compared with: those of this many rows. */
const CANDIDATES = 1000;
/** The vector of a text differs so much, in another batch. */
const SAME = 1e-6;

/**
 * Vectors of texts that are close where the texts belong together. The texts of a batch go through the encoder one below the other,
 * [B · columns, T]; the weights of the pooling are arrays of the batch, so that updates can be recorded.
 * @see Reimers and Gurevych, Sentence-BERT, 2019. https://arxiv.org/abs/1908.10084
 */
export function sentenceEmbeddings(
  tokenizer: Tokenizer,
  { columns, settings, hiddenSize, loss: asked }: SentenceEmbeddingOptions,
): Task<SentenceVectors, RowVectors> {
  const { texts: K, scores } = columns;
  const { modes, dense, normalize } = settings;
  if (dense.length > 0)
    throw new GpugradError("sentence-embeddings: models with layers after the pooling (Dense) can't be trained.");
  const loss = chooseLoss(columns, asked);
  const { prepare, promptLength } = sentenceTexts(settings, tokenizer);
  const poolings = modes.map((mode) => `pooling_${mode}`);
  return {
    name: "sentence-embeddings",
    encode: (rows, own, maxLength) =>
      (rows as readonly SentenceRow[]).map(({ texts, label }) => {
        if (texts?.length !== K)
          throw new DataError(`sentence-embeddings: a row of ${texts?.length ?? 0} texts, where there are ${K}.`);
        const length = Math.min(maxLength, settings.maxLength ?? Infinity);
        const tokens = encodeRows(own, texts.map((text) => ({ text: prepare(text) })), length); // prettier-ignore
        const longest = tokens.reduce((a, b) => (b.input_ids.length > a.input_ids.length ? b : a));
        return { input_ids: longest.input_ids, tokens, ...(label !== undefined && { label }) };
      }),
    collate(rows, pad) {
      const arrays = pad(rows.flatMap((row) => row["tokens"] as readonly EncodedRow[]));
      const { shape, data } = arrays.input_ids;
      const mask = arrays["attention_mask"]?.data ?? data.map(() => 1); // without padding there is none
      const weights = poolingWeights(mask, shape as [number, number], settings, promptLength);
      const pooling = weights.map((own, k) => [poolings[k]!, { data: own, shape, dtype: "f32" }] as const);
      const found: Arrays = { ...arrays, ...Object.fromEntries(pooling) };
      if (!scores) return found;
      const labels = rows.flatMap(({ label }) => (label === undefined ? [] : [label]));
      if (labels.length < rows.length) return found;
      return { ...found, labels: { data: Float32Array.from(labels), shape: [rows.length], dtype: "f32" } };
    },
    labelNames: scores ? ["labels"] : [],
    example: (length) => ({
      tokens: Array.from({ length: K }, () => ({ input_ids: new Int32Array(length) })),
      ...(scores && { label: 0 }),
    }),
    problemWith: ({ classWeights, labelSmoothingFactor }) =>
      classWeights === null && labelSmoothingFactor === 0 ? undefined : "classWeights and labelSmoothingFactor are for classes, not for embeddings", // prettier-ignore
    forward(model, { labels, ...inputs }) {
      const { last_hidden_state } = (model as TrainableBase).forward(inputs);
      const pooled = poolWith(last_hidden_state, poolings.map((name) => onDevice(inputs[name]!)), settings); // prettier-ignore
      const vectors = reshape(normalize ? normalizeVectors(pooled) : pooled, [-1, K, pooled.shape[1]!]);
      const each = Array.from({ length: K }, (_, k) => select(vectors, 1, k));
      const target = labels === undefined ? undefined : onDevice(labels);
      const { compute } = SENTENCE_LOSSES[loss];
      return { logits: vectors, ...((target || !scores) && { loss: compute(each, target!) }) };
    },
    decode: ({ logits }, { rows, arrays: { labels } }) => {
      const { shape, data } = logits!;
      const width = shape[2]!;
      const vector = (b: number, k: number) => data.slice((b * K + k) * width, (b * K + k + 1) * width) as Float32Array;
      return rows.map((_, b) => ({
        vectors: Array.from({ length: K }, (_, k) => vector(b, k)),
        label: scores ? labels?.data[b] : 0,
      }));
    },
    gather(rows) {
      const labels = rows.flatMap(({ label }) => (label === undefined ? [] : [label]));
      return { vectors: rows.map(({ vectors }) => vectors), labels: labels.length < rows.length ? undefined : labels };
    },
    metrics({ vectors, labels }): Record<string, number> {
      const { cosine } = SIMILARITIES;
      if (!scores) return K > 2 ? { cosine_accuracy: tripletAccuracy(vectors) } : { "cosine_accuracy@1": pairAccuracy(vectors) }; // prettier-ignore
      const found = vectors.map(([a, b]) => cosine(a!, b!));
      return { pearson_cosine: pearsonr(labels, found), spearman_cosine: spearmanr(labels, found) };
    },
    metricNames: ["loss", ...(scores ? ["pearson_cosine", "spearman_cosine"] : [K > 2 ? "cosine_accuracy" : "cosine_accuracy@1"])], // prettier-ignore
    findings: ({ vectors }) => Promise.resolve({ rows: vectors.length, nonFinite: 0, mistakes: [], wrong: 0 }),
    summary: ({ metrics, labels }, unit) => {
      const { runtime: _, ...plain } = plainMetrics(metrics);
      return `vectors of ${labels.length} ${unit}\n\n${metricsTable(plain)}`;
    },
    output: `a vector of ${hiddenSize * modes.length}, loss ${loss}`,
    files: sentenceFiles(settings, hiddenSize),
    card: {
      ...{ tag: "sentence-similarity", name: "Sentence Embeddings" },
      usage: (repository) =>
        `from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(${JSON.stringify(repository)})\nmodel.encode(["A text."])`,
    },
  };
}

type TrainableBase = Pick<BaseModel, "forward">;

const onDevice = (input: Inputs[string]): Tensor =>
  input instanceof Tensor ? input : fromArray(input.data, input.shape, input.dtype);

/** How many anchors are closer to their positive than to each of their negatives: sentence-transformers' TripletEvaluator. */
function tripletAccuracy(rows: SentenceVectors["vectors"]): number {
  const { cosine } = SIMILARITIES;
  const right = rows.filter(([a, p, ...negatives]) => negatives.every((n) => cosine(a!, p!) > cosine(a!, n)));
  return right.length / rows.length;
}

/** How many anchors have no positive of another row that is closer than their own. */
function pairAccuracy(rows: SentenceVectors["vectors"]): number {
  const { cosine } = SIMILARITIES;
  let right = 0;
  for (let start = 0; start < rows.length; start += CANDIDATES) {
    const block = rows.slice(start, start + CANDIDATES);
    for (const [a, own] of block) {
      const least = cosine(a!, own!) + SAME;
      if (block.every(([, other]) => cosine(a!, other!) <= least)) right++;
    }
  }
  return right / rows.length;
}
