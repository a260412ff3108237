import { SCORE_FUNCTIONS, scoresOf, type ScoreFunction } from "@gpugrad/train";
import type { TextRow } from "../../text/input-rows.ts";
import { sequenceClassification } from "../../text/text-model.ts";
import {
  invalid,
  isObject,
  readBody,
  readChoice,
  readCount,
  readCut,
  readFlag,
  readList,
  readParameters,
  readText,
  show,
  type Cut,
  type Json,
} from "../request.ts";
import { classesOf, valuesOfTexts, type Service, type Serving } from "../service.ts";

/** A request to classify texts. */
interface PredictRequest {
  rows: TextRow[];
  /** Whether the answer is a list for each input, though there is one input only. */
  isNested: boolean;
  topK: number;
  functionToApply: ScoreFunction;
  cut: Cut;
}

/** The classes of texts, with their scores. */
export const textClassification: Service<Awaited<ReturnType<typeof sequenceClassification.open>>> = {
  name: "text-classification",
  task: sequenceClassification,
  modelType: ({ config }) => ({ classifier: classesOf(config) }),
  routes(serving: Serving) {
    const predict = async (body: unknown, gone: AbortSignal) => {
      const { rows, isNested, topK, functionToApply, cut } = readPredictRequest(body, serving.maxTexts);
      const { values } = await valuesOfTexts(serving, rows, cut, gone);
      const scores = values.map((row) => scoresOf(row, serving.model.config, functionToApply).slice(0, topK));
      return isNested ? scores : scores[0];
    };
    return { "/predict": predict, "/": predict };
  },
};

/**
 * Reads a request of Hugging Face's Inference API, `{"inputs": …, "parameters": {"top_k", "function_to_apply"}}`, where `inputs` is a text, a pair
 * `{"text", "text_pair"}`, or a list of these; or one of text-embeddings-inference, which has `raw_scores`, `truncate`, `truncation_direction` or
 * lists as `inputs`: a pair is there `["…", "…"]`, and the answer to one input is not in a list of its own.
 *
 * @throws {@link RequestError} naming the part that is wrong
 * @see https://huggingface.co/docs/inference-providers/tasks/text-classification
 * @see https://huggingface.github.io/text-embeddings-inference/
 */
function readPredictRequest(given: unknown, maxTexts: number): PredictRequest {
  const body = readBody(given);
  const { inputs, parameters, raw_scores, truncate, truncation_direction } = body;
  const isBatch = Array.isArray(inputs) && Array.isArray(inputs[0]);
  const isTei = isBatch || [raw_scores, truncate, truncation_direction].some((value) => (value ?? undefined) !== undefined); // prettier-ignore
  const { topK, functionToApply } = readScoring(parameters);
  const raw = readFlag(raw_scores, "raw_scores") ?? false;
  const cut = readCut(body);
  const scoring = { topK, functionToApply: raw ? ("none" as const) : functionToApply, cut };
  if (isTei && Array.isArray(inputs) && !isBatch) return { rows: [readPair(inputs, "inputs")], isNested: false, ...scoring }; // prettier-ignore
  const { items, isList } = readList(inputs, maxTexts, isBatch ? readPair : readRow);
  return { rows: items, isNested: isList || !isTei, ...scoring };
}

function readRow(input: unknown, name: string): TextRow {
  if (typeof input === "string") return { text: input };
  if (!isObject(input))
    throw invalid(`${name} is ${show(input)}. It has to be a text, or {"text": "…", "text_pair": "…"}.`);
  const { text, text_pair = null } = input;
  return {
    text: readText(text, `${name}.text`),
    ...(text_pair !== null && { text_pair: readText(text_pair, `${name}.text_pair`) }),
  };
}

/** A text, or a list of one or two of them. */
function readPair(input: unknown, name: string): TextRow {
  if (!Array.isArray(input)) return readRow(input, name);
  const [text, text_pair] = input as unknown[];
  if (input.length < 1 || input.length > 2)
    throw invalid(`${name} is a list of ${input.length}. It has to be a text, or a pair ["…", "…"]; a list of them is [["…"], ["…", "…"]].`); // prettier-ignore
  return {
    text: readText(text, `${name}[0]`),
    ...(input.length === 2 && { text_pair: readText(text_pair, `${name}[1]`) }),
  };
}

function readScoring(parameters: unknown): Pick<PredictRequest, "topK" | "functionToApply"> {
  const { top_k, function_to_apply }: Json = readParameters(parameters, ["top_k", "function_to_apply"]);
  return {
    topK: readCount(top_k, "parameters.top_k", 1, "all classes are given") ?? Infinity,
    functionToApply: readChoice(function_to_apply, "parameters.function_to_apply", SCORE_FUNCTIONS) ?? "default",
  };
}
