import { AutoTokenizer, folderOf, type EncodeOptions, type PretrainedConfig } from "@gpugrad/bert";
import { poolWindows } from "@gpugrad/train";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { TextRow } from "../text/input-rows.ts";
import type { Encoded, TextModel } from "../text/text-model.ts";
import type { WindowOptions } from "../text/windows.ts";
import { createServer } from "./server.ts";
import type { AnyService } from "./service.ts";
import { embeddings } from "./services/embeddings.ts";
import { fillMask } from "./services/fill-mask.ts";
import { questionAnswering } from "./services/question-answering.ts";
import { textClassification } from "./services/text-classification.ts";
import { tokenClassification } from "./services/token-classification.ts";

const vocab = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e ada lives in paris ##s where".split(" ");
const id = (token: string): number => vocab.indexOf(token);

let tokenizer: Awaited<ReturnType<typeof AutoTokenizer.fromPretrained>>;
beforeAll(async () => {
  tokenizer = await AutoTokenizer.fromPretrained(folderOf({ "vocab.txt": `${vocab.join("\n")}\n` }));
});

let app: FastifyInstance | undefined;
afterEach(() => app?.close());

interface Setting {
  /** What the model makes of the tokens of a text. */
  numbers: (ids: number[], item: Encoded) => number[];
  labels?: string[];
  maxLength?: number;
  windows?: WindowOptions;
}

/** A server in front of a model whose numbers are written down here. */
function start(service: AnyService, { numbers, labels = ["yes", "no"], maxLength = 8, windows }: Setting) {
  const asked: string[] = [];
  const config = {
    id2label: { ...labels },
    num_labels: labels.length,
    dtype: "float32",
  } as unknown as PretrainedConfig;
  const encodings = (rows: readonly TextRow[], options: EncodeOptions = {}) =>
    tokenizer.encodeBatchAsync(rows.map(({ text }) => text), { textPairs: rows.map(({ text_pair }) => text_pair), truncation: true, maxLength, ...options }); // prettier-ignore
  const model: TextModel = {
    ...{ config, tokenizer, windows, maxLength, isReady: true, rebuilds: 0, encodings },
    encode: (rows) => encodings(rows, windows && { stride: windows.stride, returnOverflowingTokens: true }),
    compute: (batch) => {
      asked.push(...batch.map(({ input_ids }) => Array.from(input_ids, (token) => vocab[token]).join(" ")));
      return Promise.resolve(batch.map((item) => Float32Array.from(numbers(Array.from(item.input_ids), item))));
    },
    join: (parts) => poolWindows(parts, windows?.pooling ?? "mean"),
    close: () => Promise.resolve(),
  };
  const limits = { maxBatchSize: 4, maxWait: 0, maxQueueSize: 6, maxClientBatchSize: 3, maxBodySize: 2000 };
  app = createServer(
    model,
    { ...limits, host: "127.0.0.1", allowedHosts: [], corsOrigin: [], modelId: "tiny" },
    service,
  );
  const post = async (url: string, payload: object) => {
    const response = await app!.inject({ method: "POST", url, payload });
    return { status: response.statusCode, body: response.json<unknown>() };
  };
  /** The answer to a request that is fine. */
  const ask = async (url: string, payload: object): Promise<unknown> => {
    const { status, body } = await post(url, payload);
    expect([status, status === 200 ? undefined : body]).toEqual([200, undefined]);
    return body;
  };
  return { ask, post, asked };
}

const close = (value: number): unknown => expect.closeTo(value, 5);
const invalid = (message: RegExp) => ({ status: 422, body: { error_type: "validation", error: expect.stringMatching(message) as unknown } }); // prettier-ignore

describe("text classification, as text-embeddings-inference has it", () => {
  const lengths: Setting = { numbers: (ids) => [ids.length, 4] };

  it("answers one input flat, a list of them nested, the best class first", async () => {
    const { ask, asked } = start(textClassification, lengths);
    expect(await ask("/predict", { inputs: "a", raw_scores: true })).toEqual([
      { label: "no", score: 4 },
      { label: "yes", score: 3 },
    ]);
    expect(await ask("/predict", { inputs: "a", truncate: true })).toEqual([
      { label: "no", score: close(1 / (1 + Math.exp(-1))) },
      { label: "yes", score: close(1 / (1 + Math.E)) },
    ]);
    expect(await ask("/predict", { inputs: ["a", "b c"], raw_scores: true })).toMatchObject([
      { score: 6 },
      { score: 4 },
    ]);
    expect(await ask("/predict", { inputs: [["a", "b"], ["c"]], raw_scores: true })).toMatchObject([
      [{ label: "yes", score: 5 }, { label: "no" }],
      [{ label: "no", score: 4 }, { score: 3 }],
    ]);
    const rows = [
      "[CLS] a [SEP]",
      "[CLS] a [SEP]",
      "[CLS] a [SEP] b c [SEP]",
      "[CLS] a [SEP] b [SEP]",
      "[CLS] c [SEP]",
    ];
    expect(asked).toEqual(rows);
  });

  it("cuts on the side that is asked for, or not at all", async () => {
    const { ask, post, asked } = start(textClassification, { ...lengths, maxLength: 4 });
    await ask("/predict", { inputs: "a b c d" });
    await ask("/predict", { inputs: "a b c d", truncation_direction: "Left" });
    await ask("/predict", { inputs: "a b", truncate: false });
    expect(asked).toEqual(["[CLS] a b [SEP]", "[CLS] c d [SEP]", "[CLS] a b [SEP]"]);
    const refused = { status: 413, body: { error_type: "validation", error: expect.stringMatching(/inputs\[1\] has more than 4 tokens/) as unknown } }; // prettier-ignore
    expect(await post("/predict", { inputs: [["a"], ["a b c"]], truncate: false })).toEqual(refused);
  });

  it.each([
    [{ inputs: ["a", "b", "c"], raw_scores: true }, /inputs is a list of 3.*a list of them is \[\["…"\]/],
    [{ inputs: [["a"], []] }, /inputs\[1\] is a list of 0/],
    [{ inputs: [["a", 1]] }, /inputs\[0\]\[1\] is 1/],
    [{ inputs: "a", raw_scores: "yes" }, /raw_scores is "yes". It has to be true or false/],
    [{ inputs: "a", truncation_direction: "up" }, /truncation_direction is "up". Known are left, right/],
  ])("refuses %j", async (payload, message) => {
    expect(await start(textClassification, lengths).post("/predict", payload)).toEqual(invalid(message));
  });

  it("answers 424 where the model is for another task, and says in /info what it is for", async () => {
    const { post } = start(textClassification, lengths);
    for (const url of ["/embed", "/similarity", "/v1/embeddings"])
      expect(await post(url, { inputs: "a", input: "a" })).toEqual({
        status: 424,
        body: {
          error_type: "backend",
          error: expect.stringMatching(/for text-classification, and answers POST/) as unknown,
        },
      });
    expect((await app!.inject("/info")).json()).toMatchObject({
      ...{
        model_id: "tiny",
        model_dtype: "float32",
        max_input_length: 8,
        max_client_batch_size: 3,
        auto_truncate: true,
      },
      model_type: { classifier: { id2label: { 0: "yes", 1: "no" }, label2id: { yes: 0, no: 1 } } },
      version: expect.stringMatching(/^\d+\.\d+/) as unknown,
    });
  });

  it.each([
    ["mean", [4 / 3, -7 / 3]],
    ["max", [3, -1]],
  ] as const)("gives the %s of the windows of a long text", async (pooling, want) => {
    const scored: Record<string, number[]> = { "a b c": [1, -2], "c d e": [3, -4], "e a": [0, -1], b: [5, 6] };
    const numbers = (ids: number[]) => scored[ids.slice(1, -1).map((token) => vocab[token]).join(" ")]!; // prettier-ignore
    const { ask } = start(textClassification, { numbers, maxLength: 5, windows: { stride: 1, pooling } });
    const none = { function_to_apply: "none" };
    expect(await ask("/predict", { inputs: ["b", "a b c d e a"], parameters: none })).toEqual([
      [{ label: "no", score: 6 }, { label: "yes", score: 5 }],
      [{ label: "yes", score: close(want[0]) }, { label: "no", score: close(want[1]) }],
    ]); // prettier-ignore
  });

  it("refuses with 413 what makes more windows than the queue could hold", async () => {
    const { post } = start(textClassification, { ...lengths, maxLength: 4, windows: { stride: 1, pooling: "mean" } });
    const { status, body } = await post("/predict", { inputs: "a b c d e a b c" });
    expect([status, body]).toMatchObject([413, { error_type: "too_many_inputs" }]);
  });
});

describe("token classification", () => {
  const labels = ["O", "B-PER", "B-LOC", "I-LOC"];
  const tags: Record<string, number> = { ada: 1, paris: 2, "##s": 3 };
  const numbers = (ids: number[]) =>
    ids.flatMap((token) => labels.map((_, tag) => ((tags[vocab[token]!] ?? 0) === tag ? 2 : 0)));
  const sure = Math.exp(2) / (Math.exp(2) + 3);
  const [ada, paris] = [
    { entity_group: "PER", score: close(sure), word: "ada", start: 0, end: 3 },
    { entity_group: "LOC", score: close(sure), word: "pariss", start: 13, end: 19 },
  ];

  it("finds entities by name, and what the parameters ask for", async () => {
    const { ask } = start(tokenClassification, { numbers, labels });
    const inputs = "Ada lives in Pariss";
    expect(await ask("/", { inputs })).toEqual([ada, paris]);
    expect(await ask("/", { inputs: [inputs, "a"] })).toEqual([[ada, paris], []]);
    const ignore_labels = ["LOC", "O"];
    expect(await ask("/", { inputs, parameters: { ignore_labels } })).toEqual([ada]);
    const plain = await ask("/", { inputs: "ada in", parameters: { aggregation_strategy: "none", ignore_labels: [] } });
    expect(plain).toEqual([
      { entity: "B-PER", score: close(sure), index: 1, word: "ada", start: 0, end: 3 },
      { entity: "O", score: close(sure), index: 2, word: "in", start: 4, end: 6 },
    ]);
  });

  it("reads a long text in windows where it has a stride", async () => {
    const { ask, asked } = start(tokenClassification, { numbers, labels, maxLength: 6 });
    expect(await ask("/", { inputs: "a b c d e paris" })).toEqual([]);
    const found = await ask("/", { inputs: "a b c d e paris", parameters: { stride: 2 } });
    expect(found).toMatchObject([{ word: "paris", start: 10, end: 15 }]);
    expect(asked).toEqual(["[CLS] a b c d [SEP]", "[CLS] a b c d [SEP]", "[CLS] c d e paris [SEP]"]);
  });

  it.each([
    [
      { inputs: "a", parameters: { aggregation_strategy: "best" } },
      /aggregation_strategy is "best". Known are none, simple/,
    ],
    [{ inputs: "a", parameters: { stride: 4 } }, /stride is 4. It has to be at most 3, half of a window/],
    [{ inputs: "a", parameters: { ignore_labels: "O" } }, /ignore_labels is "O". It has to be a list/],
    [{ inputs: "a", parameters: { top_k: 1 } }, /parameters.top_k is not known/],
    [{ inputs: { text: "a" } }, /inputs is an object/],
  ])("refuses %j", async (payload, message) => {
    expect(await start(tokenClassification, { numbers, labels }).post("/", payload)).toEqual(invalid(message));
  });
});

describe("question answering", () => {
  /** An answer begins at `ada` and ends at `paris`; of nothing it is 1, of each other token 0. */
  const numbers = (ids: number[]) =>
    ids.flatMap((token, t) => (t === 0 ? [1, 1] : [token === id("ada") ? 3 : 0, token === id("paris") ? 3 : 0]));
  const inputs = { question: "where", context: "a ada in Paris b" };

  it("gives the best answer, or several, where it lies in the context", async () => {
    const { ask } = start(questionAnswering, { numbers, maxLength: 12 });
    const best = { answer: "ada in Paris", start: 2, end: 14, score: expect.any(Number) as unknown };
    expect(await ask("/", { inputs })).toEqual(best);
    const three = (await ask("/", { inputs, parameters: { top_k: 3 } })) as { score: number }[];
    expect([three.length, three[0]]).toEqual([3, best]);
    expect(three[0]!.score).toBeGreaterThan(three[1]!.score);
    expect(await ask("/", { inputs: [inputs] })).toEqual([best]);
  });

  it("gives no answer where there may be none, and the best one otherwise", async () => {
    const { ask } = start(questionAnswering, { numbers, maxLength: 12 });
    const parameters = { handle_impossible_answer: true };
    const of = (context: string) => ({ inputs: { question: "where", context }, parameters });
    expect(await ask("/", of("a b c"))).toMatchObject({ answer: "", start: 0, end: 0 });
    expect(await ask("/", of("ada in paris"))).toMatchObject({ answer: "ada in paris" });
    expect(await ask("/", { inputs: { question: "where", context: "" } })).toMatchObject({
      answer: "",
      start: 0,
      end: 0,
    });
  });

  it("reads a long context in windows that overlap, and cuts a long question", async () => {
    const { ask, asked } = start(questionAnswering, { numbers, maxLength: 8 });
    const context = "a b c d e a ada in paris";
    expect(await ask("/", { inputs: { question: "where", context }, parameters: { doc_stride: 2 } })).toMatchObject({ answer: "ada in paris", start: 12, end: 24 }); // prettier-ignore
    expect(asked).toEqual([
      "[CLS] where [SEP] a b c d [SEP]",
      "[CLS] where [SEP] c d e a [SEP]",
      "[CLS] where [SEP] e a ada in [SEP]",
      "[CLS] where [SEP] ada in paris [SEP]",
    ]);
    asked.length = 0;
    await ask("/", { inputs: { question: "where where where where", context: "a" }, parameters: { max_question_len: 2 } }); // prettier-ignore
    expect(asked).toEqual(["[CLS] where where [SEP] a [SEP]"]);
  });

  it.each([
    [{ inputs: "where" }, /inputs is "where". Send \{"inputs": \{"question"/],
    [{ inputs: { question: "where" } }, /inputs.context is missing/],
    [{ inputs, parameters: { align_to_words: true } }, /align_to_words: answers end where a token ends/],
    [{ inputs, parameters: { max_seq_len: 5 } }, /max_seq_len is too small: of 5 tokens, the question leaves 1/],
    [{ inputs, parameters: { top_k: 0 } }, /top_k is 0/],
    [{ inputs, parameters: { top_k: 51 } }, /top_k is 51. It has to be at most 50/],
  ])("refuses %j", async (payload, message) => {
    expect(await start(questionAnswering, { numbers, maxLength: 12 }).post("/", payload)).toEqual(invalid(message));
  });
});

describe("fill-mask", () => {
  /** After `in` it is paris, else b; c is next. */
  const numbers = (ids: number[], { place }: Encoded) =>
    vocab.map((_, token) =>
      token === id(ids[place! - 1] === id("in") ? "paris" : "b") ? 4 : token === id("c") ? 3 : 0,
    );
  const total = Math.exp(4) + Math.exp(3) + vocab.length - 2;

  it("gives the likeliest words, for each hidden one", async () => {
    const { ask } = start(fillMask, { numbers });
    const best = { score: close(Math.exp(4) / total), token: id("paris"), token_str: "paris", sequence: "ada lives in paris" }; // prettier-ignore
    const inputs = "Ada lives in [MASK]";
    expect(await ask("/", { inputs, parameters: { top_k: 2 } })).toEqual([
      best,
      { score: close(Math.exp(3) / total), token: id("c"), token_str: "c", sequence: "ada lives in c" },
    ]);
    expect(await ask("/", { inputs })).toHaveLength(5);
    const among = await ask("/", { inputs, parameters: { targets: ["a", "c"] } });
    expect(among).toMatchObject([{ token_str: "c", score: close(Math.exp(3) / total) }, { token_str: "a" }]);
    expect(await ask("/", { inputs: ["[MASK] in [MASK]"], parameters: { top_k: 1 } })).toMatchObject([
      [[{ token_str: "b", sequence: "[CLS] b in [MASK] [SEP]" }], [{ token_str: "paris", sequence: "[CLS] [MASK] in paris [SEP]" }]], // prettier-ignore
    ]);
  });

  it.each([
    [{ inputs: ["[MASK]", "a"] }, /inputs\[1\]: there is no \[MASK\] among its 3 tokens/],
    [{ inputs: "[MASK]", parameters: { targets: [""] } }, /targets\[0\] has no tokens/],
    [{ inputs: "[MASK]", parameters: { top_k: -1 } }, /top_k is -1.*without it, the best five/],
  ])("refuses %j", async (payload, message) => {
    expect(await start(fillMask, { numbers }).post("/", payload)).toEqual(invalid(message));
  });
});

describe("embeddings", () => {
  const service = (): AnyService => ({ ...embeddings(), modelType: () => ({ embedding: { pooling: "mean" } }) });
  /** 3, 4 and 0 for one token, 0, 0 and 2 for two. */
  const numbers = (ids: number[]) => (ids.length === 3 ? [3, 4, 0] : [0, 0, 2]);

  it("gives vectors, scaled to length 1 unless they are not to be", async () => {
    const { ask, asked } = start(service(), { numbers });
    for (const url of ["/embed", "/"]) {
      expect(await ask(url, { inputs: "a" })).toEqual([[close(0.6), close(0.8), 0]]);
      expect(await ask(url, { inputs: ["a", "a b"], normalize: false })).toEqual([[3, 4, 0], [0, 0, 2]]); // prettier-ignore
    }
    expect(await ask("/embed", { inputs: "a", dimensions: 1 })).toEqual([[1]]);
    asked.length = 0;
    await ask("/embed", { inputs: [id("a"), id("b")] });
    await ask("/embed", { inputs: [[id("[CLS]"), id("a"), id("[SEP]")], "b"] });
    expect(asked).toEqual(["[CLS] a b [SEP]", "[CLS] a [SEP]", "[CLS] b [SEP]"]);
  });

  it("gives a vector for each token at /embed_all, of long texts as far as they are cut", async () => {
    const perToken = (ids: number[], { allTokens }: Encoded) =>
      allTokens ? ids.flatMap((token) => [token, 0.5]) : [3, 4];
    const { ask, post } = start(service(), {
      numbers: perToken,
      maxLength: 4,
      windows: { stride: 1, pooling: "mean" },
    });
    const of = (...tokens: string[]) => tokens.map((token) => [id(token), 0.5]);
    expect(await ask("/embed_all", { inputs: "a" })).toEqual([of("[CLS]", "a", "[SEP]")]);
    const [two, one] = await Promise.all([ask("/embed_all", { inputs: ["b", "a b c"] }), ask("/embed", { inputs: "a", normalize: false })]); // prettier-ignore
    expect([two, one]).toEqual([[of("[CLS]", "b", "[SEP]"), of("[CLS]", "a", "b", "[SEP]")], [[3, 4]]]);
    expect(await post("/embed_all", { inputs: "a b c", truncate: false })).toMatchObject({ status: 413 });
  });

  it("compares texts", async () => {
    const { ask } = start(service(), { numbers });
    const inputs = { source_sentence: "a", sentences: ["b", "a b"] };
    for (const url of ["/similarity", "/"]) expect(await ask(url, { inputs })).toEqual([close(1), 0]);
  });

  it("answers in OpenAI's shape, as numbers or in base64", async () => {
    const { ask } = start(service(), { numbers });
    const usage = { prompt_tokens: 7, total_tokens: 7 };
    expect(await ask("/v1/embeddings", { input: ["a", "a b"], model: "mine" })).toEqual({
      object: "list",
      data: [
        { object: "embedding", index: 0, embedding: [close(0.6), close(0.8), 0] },
        { object: "embedding", index: 1, embedding: [0, 0, 1] },
      ],
      ...{ model: "mine", usage },
    });
    const { data, model } = (await ask("/v1/embeddings", { input: "a b", encoding_format: "base64" })) as { data: { embedding: string }[]; model: string }; // prettier-ignore
    expect([data[0]!.embedding, model]).toEqual(["AAAAAAAAAAAAAIA/", "tiny"]); // 0, 0 and 1 as float32, little-endian
  });

  it.each([
    ["/embed", { inputs: "a", dimensions: 4 }, /dimensions is 4. The model's vectors have 3/],
    ["/embed", { inputs: [99] }, /inputs\[0\] is 99, which is not a token/],
    ["/embed", { inputs: "a", prompt_name: "query" }, /prompt_name: texts get the folder's default prompt/],
    ["/embed", { inputs: [["a"]] }, /inputs\[0\] is a list/],
    ["/embed", { inputs: 3 }, /inputs is 3/],
    ["/v1/embeddings", { input: "a", encoding_format: "int8" }, /encoding_format is "int8". Known are float, base64/],
    ["/v1/embeddings", { inputs: "a" }, /input is missing/],
    ["/similarity", { inputs: { source_sentence: "a" } }, /inputs.sentences is missing/],
  ])("%s refuses %j", async (url, payload, message) => {
    expect(await start(service(), { numbers }).post(url, payload)).toEqual(invalid(message));
  });

  it("takes as many texts as any service, and as many tokens as they may have", async () => {
    const { ask, post } = start(service(), { numbers, maxLength: 400 });
    expect(await post("/embed", { inputs: ["a", "b", "c", "d"] })).toMatchObject({ status: 413, body: { error_type: "too_many_inputs" } }); // prettier-ignore
    expect(await ask("/embed", { inputs: [Array<number>(390).fill(id("a"))] })).toHaveLength(1);
  });

  it("answers 424 to /predict", async () => {
    expect(await start(service(), { numbers }).post("/predict", { inputs: "a" })).toMatchObject({ status: 424, body: { error_type: "backend" } }); // prettier-ignore
  });
});
