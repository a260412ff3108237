import { GpugradError } from "@gpugrad/tensor";

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

/** How texts that are too long are cut. */
export interface Cut {
  /** Otherwise they are refused. */
  truncate: boolean;
  /** Default: as the tokenizer does. */
  side?: "left" | "right" | undefined;
}

export const invalid = (message: string): RequestError => new RequestError(422, "validation", message);

export type Json = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** How a wrong value is named: what is nested isn't printed. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  return isObject(value) ? "an object" : JSON.stringify(value).slice(0, 60);
}

/** The object that a body is. @param example of one */
export function readBody(body: unknown, example = '{"inputs": "a text"} or {"inputs": ["…", "…"]}'): Json {
  if (!isObject(body)) throw invalid(`the body is ${show(body)}. Send ${example}.`);
  return body;
}

/** One input or a list of them. @throws {@link RequestError} where there are more than a request may hold */
export function readList<T>(
  inputs: unknown,
  maxTexts: number,
  read: (input: unknown, name: string) => T,
): { items: T[]; isList: boolean } {
  const isList = Array.isArray(inputs);
  const list = isList ? (inputs as unknown[]) : [inputs];
  checkCount(list.length, maxTexts);
  return { items: list.map((input, i) => read(input, isList ? `inputs[${i}]` : "inputs")), isList };
}

export function checkCount(count: number, maxTexts: number): void {
  if (count <= maxTexts) return;
  const message = `inputs: ${count} texts; a request may hold ${maxTexts}. Send more requests.`;
  throw new RequestError(413, "too_many_inputs", message);
}

export function readText(input: unknown, name: string): string {
  if (typeof input !== "string") throw invalid(`${name} is ${show(input)}. It has to be a text.`);
  return input;
}

/** The parameters of a request. @throws {@link RequestError} for others than these */
export function readParameters(parameters: unknown, known: readonly string[]): Json {
  const given = parameters ?? {};
  if (!isObject(given)) throw invalid(`parameters is ${show(given)}. It has to be an object.`);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw invalid(`parameters.${unknown.slice(0, 60)} is not known. Known are ${known.join(", ")}.`);
  return given;
}

/** A whole number, where there is one. @param otherwise what happens without it, for the message */
export function readCount(value: unknown, name: string, least: number, otherwise?: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= least) return value;
  throw invalid(
    `${name} is ${show(value)}. It has to be a whole number of at least ${least}${otherwise ? `; without it, ${otherwise}` : ""}.`,
  );
}

/** True or false, where it is one of them. */
export function readFlag(value: unknown, name: string): boolean | undefined {
  if (value === undefined || value === null || typeof value === "boolean") return value ?? undefined;
  throw invalid(`${name} is ${show(value)}. It has to be true or false.`);
}

/** One of several names, where there is one. */
export function readChoice<T extends string>(value: unknown, name: string, known: readonly T[]): T | undefined {
  if (value === undefined || value === null) return undefined;
  const found = known.find((one) => one === value);
  if (found === undefined) throw invalid(`${name} is ${show(value)}. Known are ${known.join(", ")}.`);
  return found;
}

/** A list of texts, where there is one. */
export function readTexts(value: unknown, name: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid(`${name} is ${show(value)}. It has to be a list of texts.`);
  return value.map((text, i) => readText(text, `${name}[${i}]`));
}

/** `truncate` and `truncation_direction` of text-embeddings-inference. */
export function readCut({ truncate, truncation_direction: direction }: Json): Cut {
  const side = typeof direction === "string" ? direction.toLowerCase() : direction;
  return {
    truncate: readFlag(truncate, "truncate") ?? true,
    side: readChoice(side, "truncation_direction", ["left", "right"]),
  };
}
