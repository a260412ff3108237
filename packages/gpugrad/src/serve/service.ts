import type { PretrainedConfig } from "@gpugrad/bert";
import { isFinite } from "../text/finite.ts";
import type { TextRow } from "../text/input-rows.ts";
import type { Encoded, Task, TextModel } from "../text/text-model.ts";
import { joinedByText } from "../text/windows.ts";
import { RequestError, type Cut } from "./request.ts";

/** What a server does for requests: it holds places in the queue, makes tokens, and has them computed with those of others. */
export interface Serving {
  readonly model: TextModel;
  readonly modelId: string;
  /** Texts of a request at most. */
  readonly maxTexts: number;
  /**
   * The numbers of what `encode` makes of so many texts.
   * @throws {@link RequestError} where a number isn't finite, or there is more than the queue could ever hold
   */
  readonly compute: <T extends Encoded>(
    texts: number,
    encode: () => Promise<readonly T[]>,
    gone?: AbortSignal,
  ) => Promise<{ encoded: readonly T[]; values: Float32Array[] }>;
}

/** The answer to the body of a request. */
export type Answer = (body: unknown, gone: AbortSignal) => Promise<unknown>;

/** What a server answers for one task. */
export interface Service<M extends { readonly config: PretrainedConfig }> {
  /** As `--task` has it. */
  readonly name: string;
  /** How its model is opened, and what it computes. */
  readonly task: Task<M>;
  /** The answers to POST, by path. */
  routes(serving: Serving): Readonly<Record<string, Answer>>;
  /** What `GET /info` says of the model, in the words of text-embeddings-inference where it has some. */
  modelType(model: TextModel): object;
  /** Whether a body may hold tokens in place of a text. */
  readonly takesTokens?: boolean;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a service opens models of its own kind, and nobody else looks at them
export type AnyService = Service<any>;

/** Names of the classes, as text-embeddings-inference has them. */
export const classesOf = ({ id2label }: PretrainedConfig): object => ({
  id2label,
  label2id: Object.fromEntries(Object.entries(id2label).map(([id, label]) => [label, Number(id)])),
});

/** A row of numbers for each text: where long texts have windows, of all of these. */
export async function valuesOfTexts(
  { model, compute }: Serving,
  rows: readonly TextRow[],
  cut: Cut,
  gone?: AbortSignal,
): Promise<{ values: Float32Array[]; tokens: number }> {
  const { encoded, values } = await compute(rows.length, () => encodeTexts(model, rows, cut), gone);
  const samples = encoded.map(({ sample }, i) => sample ?? i);
  return {
    values: joinedByText(values, samples, model.join),
    tokens: encoded.reduce((sum, { input_ids }) => sum + input_ids.length, 0),
  };
}

/**
 * Tokens of texts, cut as a request says: by default where they are too many, as `gpugrad predict` does.
 * @param options.windows whether a long text has windows, where the model has some (default true)
 */
export async function encodeTexts(
  model: TextModel,
  rows: readonly TextRow[],
  { truncate, side }: Cut,
  { windows = true } = {},
): Promise<Encoded[]> {
  if (model.windows ? windows : truncate && side === undefined) return model.encode(rows);
  const { maxLength } = model;
  const encodings = await model.encodings(rows, {
    ...(side !== undefined && { truncationSide: side }),
    ...(!truncate && { maxLength: maxLength + 1 }), // reads only enough of a text to see that it is too long
  });
  const long = encodings.findIndex(({ length }) => length > maxLength);
  if (long >= 0)
    throw new RequestError(
      413,
      "validation",
      `inputs[${long}] has more than ${maxLength} tokens. Send a shorter text, or "truncate": true.`,
    );
  return encodings;
}

/** @throws {@link RequestError} for the first of the rows that has a number that is NaN or infinite */
export function checkFinite(values: readonly Float32Array[], encoded: readonly Encoded[]): void {
  const broken = values.findIndex((row) => !isFinite(row));
  if (broken < 0) return;
  const input = encoded[broken]!.sample ?? broken;
  throw new RequestError(500, "not_finite", `inputs[${input}]: the model's answer is NaN or infinite.`);
}
