import type { Tokenizer } from "@gpugrad/bert";
import { normalized, sentenceEmbeddings, type Embedder } from "../../text/embedder.ts";
import {
  checkCount,
  invalid,
  isObject,
  readBody,
  readChoice,
  readCount,
  readCut,
  readFlag,
  readText,
  readTexts,
  show,
  type Cut,
  type Json,
} from "../request.ts";
import { encodeTexts, valuesOfTexts, type Service, type Serving } from "../service.ts";

/** What is asked for beside the texts. */
interface Wanted {
  normalize: boolean;
  dimensions: number | undefined;
  cut: Cut;
}

/**
 * Vectors of texts: `/embed`, `/embed_all` (a vector for each token, as the last layer has it) and `/similarity` of text-embeddings-inference, `/v1/embeddings` of OpenAI, and both of the former at `/`, as
 * Hugging Face's Inference API has them.
 * @see https://huggingface.github.io/text-embeddings-inference/
 * @see https://platform.openai.com/docs/api-reference/embeddings
 */
export function embeddings(): Service<Embedder> {
  const task = sentenceEmbeddings({ isExact: true });
  return {
    name: "sentence-embeddings",
    task,
    takesTokens: true,
    modelType: () => ({ embedding: { pooling: task.settings().modes.join("+") } }),
    routes(serving: Serving) {
      const { tokenizer } = serving.model;
      const vectors = async (texts: readonly string[], { normalize, dimensions, cut }: Wanted, gone: AbortSignal) => {
        const { values, tokens } = await valuesOfTexts(serving, texts.map((text) => ({ text })), cut, gone); // prettier-ignore
        const [width] = values.map(({ length }) => length);
        if (dimensions !== undefined && width !== undefined && dimensions > width)
          throw invalid(`dimensions is ${dimensions}. The model's vectors have ${width}.`);
        const cutTo = values.map((vector) => vector.subarray(0, dimensions));
        return { tokens, vectors: cutTo.map((vector) => (normalize ? normalized(vector) : Array.from(vector))) };
      };
      const embed = async (given: unknown, gone: AbortSignal) => {
        const body = readBody(given);
        const texts = readInputs(body["inputs"], "inputs", serving.maxTexts, tokenizer);
        return (await vectors(texts, readWanted(body), gone)).vectors;
      };
      const similarity = async (given: unknown, gone: AbortSignal) => {
        const { inputs, parameters } = readBody(given, '{"inputs": {"source_sentence": "…", "sentences": ["…"]}}');
        const { source_sentence, sentences } = isObject(inputs) ? inputs : {};
        const source = readText(source_sentence, "inputs.source_sentence");
        const others = readTexts(sentences, "inputs.sentences");
        if (!others) throw invalid(`inputs.sentences is ${show(sentences)}. It has to be a list of texts.`);
        checkCount(others.length + 1, serving.maxTexts);
        if (parameters !== undefined && parameters !== null && !isObject(parameters))
          throw invalid(`parameters is ${show(parameters)}. It has to be an object.`);
        const wanted = { ...readWanted((parameters as Json | undefined) ?? {}), normalize: true };
        const found = await vectors([source, ...others], wanted, gone);
        const [first, ...rest] = found.vectors;
        return rest.map((vector) => vector.reduce((sum, value, i) => sum + value * first![i]!, 0));
      };
      return {
        "/embed": embed,
        "/embed_all": async (given, gone) => {
          const body = readBody(given);
          const texts = readInputs(body["inputs"], "inputs", serving.maxTexts, tokenizer);
          const { cut } = readWanted(body);
          const encode = async () => {
            const encoded = await encodeTexts(serving.model, texts.map((text) => ({ text })), cut, { windows: false }); // prettier-ignore
            return encoded.map(({ input_ids, token_type_ids }) => ({ input_ids, ...(token_type_ids && { token_type_ids }), allTokens: true })); // prettier-ignore
          };
          const { encoded, values } = await serving.compute(texts.length, encode, gone);
          return values.map((numbers, i) => {
            const width = numbers.length / encoded[i]!.input_ids.length;
            return Array.from(encoded[i]!.input_ids, (_, t) =>
              Array.from(numbers.subarray(t * width, (t + 1) * width)),
            );
          });
        },
        "/similarity": similarity,
        "/": (body, gone) => (isObject(body) && isObject(body["inputs"]) ? similarity : embed)(body, gone),
        "/v1/embeddings": async (given, gone) => {
          const body = readBody(given, '{"input": "a text"}');
          const format = readChoice(body["encoding_format"], "encoding_format", ["float", "base64"]) ?? "float";
          const texts = readInputs(body["input"], "input", serving.maxTexts, tokenizer);
          const { tokens, vectors: found } = await vectors(texts, { ...readWanted(body), normalize: true }, gone);
          return {
            object: "list",
            data: found.map((vector, index) => ({
              ...{ object: "embedding", index },
              embedding: format === "float" ? vector : Buffer.from(Float32Array.from(vector).buffer).toString("base64"),
            })),
            model: typeof body["model"] === "string" ? body["model"] : serving.modelId,
            usage: { prompt_tokens: tokens, total_tokens: tokens },
          };
        },
      };
    },
  };
}

function readWanted(body: Json): Wanted {
  const prompt = body["prompt_name"] ?? undefined;
  if (prompt !== undefined) throw invalid("prompt_name: texts get the folder's default prompt. Send the text with another one in front."); // prettier-ignore
  return {
    normalize: readFlag(body["normalize"], "normalize") ?? true,
    dimensions: readCount(body["dimensions"], "dimensions", 1, "vectors are whole"),
    cut: readCut(body),
  };
}

const isTokens = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((id) => typeof id === "number");

/** Texts: one or a list, each as it is or as tokens, whose text is embedded. */
function readInputs(inputs: unknown, name: string, maxTexts: number, tokenizer: Tokenizer): string[] {
  const isOne = typeof inputs === "string" || isTokens(inputs);
  if (!isOne && !Array.isArray(inputs)) throw invalid(`${name} is ${show(inputs)}. It has to be a text, or a list of texts.`); // prettier-ignore
  const list = isOne ? [inputs] : (inputs as unknown[]);
  checkCount(list.length, maxTexts);
  return list.map((input, i) => {
    const own = isOne ? name : `${name}[${i}]`;
    if (!isTokens(input)) return readText(input, own);
    const wrong = input.findIndex((id) => tokenizer.idToToken(id) === undefined);
    if (wrong >= 0) throw invalid(`${own}[${wrong}] is ${input[wrong]}, which is not a token of this model.`);
    return tokenizer.decode(input, { skipSpecialTokens: true });
  });
}
