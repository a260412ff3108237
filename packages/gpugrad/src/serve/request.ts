import { GpugradError } from "@gpugrad/tensor";
import type { TextRow } from "../text/input-rows.ts";
import { SCORE_FUNCTIONS, type ScoreFunction } from "@gpugrad/train";

/** What a request is refused for: the status, a word for programs, and a sentence for people. */
export class RequestError extends GpugradError {
  override name = "RequestError";
  readonly statusCode: number;
  readonly type: string;

  constructor(statusCode: number, type: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.type = type;
  }
}

/** A request to predict, in the words of Hugging Face's Inference API. */
export interface PredictRequest {
  rows: TextRow[];
  topK: number;
  functionToApply: ScoreFunction;
}

const invalid = (message: string): RequestError => new RequestError(422, "validation", message);

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** How a wrong value is named: what is nested isn't printed. */
function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  return isObject(value) ? "an object" : JSON.stringify(value).slice(0, 60);
}

/**
 * Reads `{"inputs": …, "parameters": {"top_k", "function_to_apply"}}`; `inputs` is a text, a pair `{"text", "text_pair"}`, or a list of these.
 *
 * @throws {@link RequestError} naming the part that is wrong
 * @see https://huggingface.co/docs/inference-providers/tasks/text-classification
 */
export function readPredictRequest(body: unknown, maxTexts: number): PredictRequest {
  if (!isObject(body)) throw invalid(`the body is ${show(body)}. Send {"inputs": "a text"} or {"inputs": ["…", "…"]}.`);
  const { inputs, parameters } = body;
  const list = Array.isArray(inputs) ? (inputs as unknown[]) : [inputs];
  if (list.length > maxTexts)
    throw new RequestError(
      413,
      "too_many_inputs",
      `inputs: ${list.length} texts; a request may hold ${maxTexts}. Send more requests.`,
    );
  const rows = list.map((input, i) => readRow(input, Array.isArray(inputs) ? `inputs[${i}]` : "inputs"));
  return { rows, ...readParameters(parameters ?? {}) };
}

function readRow(input: unknown, name: string): TextRow {
  if (typeof input === "string") return { text: input };
  if (!isObject(input))
    throw invalid(`${name} is ${show(input)}. It has to be a text, or {"text": "…", "text_pair": "…"}.`);
  const { text, text_pair = null } = input;
  if (typeof text !== "string") throw invalid(`${name}.text is ${show(text)}. It has to be a text.`);
  if (text_pair === null) return { text };
  if (typeof text_pair !== "string") throw invalid(`${name}.text_pair is ${show(text_pair)}. It has to be a text.`);
  return { text, text_pair };
}

function readParameters(parameters: unknown): Omit<PredictRequest, "rows"> {
  if (!isObject(parameters)) throw invalid(`parameters is ${show(parameters)}. It has to be an object.`);
  const { top_k, function_to_apply, ...others } = parameters;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw invalid(`parameters.${unknown.slice(0, 60)} is not known. Known are top_k, function_to_apply.`);
  const topK = top_k ?? Infinity;
  if (typeof topK !== "number" || !(topK >= 1) || (topK !== Infinity && !Number.isInteger(topK)))
    throw invalid(
      `parameters.top_k is ${show(top_k)}. It has to be a whole number of at least 1; without it, all classes are given.`,
    );
  const functionToApply = SCORE_FUNCTIONS.find((name) => name === (function_to_apply ?? "default"));
  if (functionToApply === undefined)
    throw invalid(
      `parameters.function_to_apply is ${show(function_to_apply)}. Known are ${SCORE_FUNCTIONS.join(", ")}.`,
    );
  return { topK, functionToApply };
}
