import { destroy, init } from "@gpugrad/tensor";
import type { FastifyInstance } from "fastify";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { openTextModel, type TextModel } from "../text/text-model.ts";
import { createServer } from "./server.ts";
import { serviceFor } from "./service-for.ts";

const python = pythonWith("huggingface_hub", "openai", "transformers", "torch");

type Scored = { label: string; score: number }[];
type Entity = Record<string, string | number>;
interface Reference {
  text: string;
  pair: [string, string];
  question: string;
  context: string;
  classes: Scored;
  raw: Scored;
  pairClasses: Scored;
  entities: Entity[];
  tokens: Entity[];
  answer: Entity;
  words: Entity[];
  among: Entity[];
  two: Entity[][];
  vectors: number[][];
  unit: number[][];
  cosine: number;
}

const CLIENT = `
import json, sys
import numpy as np
from huggingface_hub import InferenceClient
from openai import OpenAI
given = json.loads(sys.argv[1])
client = InferenceClient(model=given["url"], token="none")
openai = OpenAI(base_url=given["url"] + "/v1", api_key="none", max_retries=0)
def plain(value):
    if isinstance(value, np.ndarray): return value.tolist()
    if isinstance(value, list): return [plain(one) for one in value]
    return vars(value) if hasattr(value, "__dict__") else value
print(json.dumps([plain(eval(one, {"client": client, "openai": openai, **given})) for one in given["calls"]]))
`;

// They are Hugging Face's and OpenAI's own; what they are answered is compared with what Transformers makes of the same folders.
describe.skipIf(!python)("clients of Python", () => {
  let folder: string;
  let reference: Reference;
  let model: TextModel | undefined;
  let app: FastifyInstance | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "served-"));
    const program = await readFile(new URL("../../test/make_tiny_served.py", import.meta.url), "utf8");
    reference = (await python!(program, { folder })) as Reference;
    await init();
  }, 60_000);
  afterEach(async () => {
    await app?.close();
    await model?.close();
  });
  afterAll(async () => {
    await destroy();
    await rm(folder, { recursive: true });
  });

  /** What calls in Python give against a server in front of a folder, whose task is the one that its files say. */
  async function called(name: string, task: string, ...calls: string[]): Promise<unknown[]> {
    const service = await serviceFor(join(folder, name), undefined);
    expect(service.name).toBe(task);
    model = await openTextModel(join(folder, name), service.task, { say: () => undefined, threads: 1 });
    const limits = { maxBatchSize: 8, maxWait: 0, maxQueueSize: 64, maxClientBatchSize: 8, maxBodySize: 10_000 };
    const origins = { host: "127.0.0.1", allowedHosts: [], corsOrigin: [] };
    app = createServer(model, { ...limits, ...origins, modelId: name }, service);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return (await python!(CLIENT, { ...reference, url, calls })) as unknown[];
  }

  /** Rows with the same texts and numbers; numbers to the fifth digit. */
  function expectClose(got: unknown, want: unknown): void {
    const rounded = (value: unknown): unknown => {
      if (typeof value === "number") return Number(value.toFixed(4)) + 0;
      if (Array.isArray(value)) return value.map(rounded);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]));
    };
    expect(rounded(got)).toEqual(rounded(want));
  }

  it("classify texts", async () => {
    const [classes, raw, best] = await called(
      ...["classifier", "text-classification"] as const,
      "client.text_classification(text)",
      "client.text_classification(text, function_to_apply='none')",
      "client.text_classification(text, top_k=1)",
    ); // prettier-ignore
    expectClose(classes, reference.classes);
    expectClose(raw, reference.raw);
    expectClose(best, reference.classes.slice(0, 1));
    const pair = await app!.inject({ method: "POST", url: "/predict", payload: { inputs: [reference.pair] } });
    expectClose(pair.json(), [reference.pairClasses]);
  });

  it("find entities", async () => {
    const [entities, tokens] = (await called(
      ...["tagger", "token-classification"] as const,
      "client.token_classification(text)",
      "client.token_classification(text, aggregation_strategy='none', ignore_labels=[])",
    )) as [Entity[], Entity[]]; // prettier-ignore
    const known = (list: Entity[]) => list.map(({ word, start, end, score, entity = null, entity_group = null }) => ({ word, start, end, score, entity, entity_group })); // prettier-ignore
    expect(reference.entities.length).toBeGreaterThan(0);
    expectClose(known(entities), known(reference.entities));
    expectClose(known(tokens), known(reference.tokens));
  });

  it("get answers", async () => {
    const [answer, three] = (await called(
      ...["answerer", "question-answering"] as const,
      "client.question_answering(question=question, context=context)",
      "client.question_answering(question=question, context=context, top_k=3, max_seq_len=24, doc_stride=4)",
    )) as [Entity, Entity[]]; // prettier-ignore
    expect(answer).toMatchObject(reference.answer);
    expect(answer["score"]).toBeGreaterThan(0);
    expect(three).toHaveLength(3);
    for (const { answer, start, end } of three)
      expect(reference.context.slice(Number(start), Number(end))).toBe(answer);
  });

  it("fill in hidden words", async () => {
    const [words, among] = (await called(
      ...["guesser", "fill-mask"] as const,
      "client.fill_mask('Ada lives in [MASK].', top_k=4)",
      "client.fill_mask('Ada lives in [MASK].', targets=['rome', 'paris'])",
    )) as [Entity[], Entity[]]; // prettier-ignore
    const known = (list: Entity[]) => list.map(({ score, token, token_str, sequence }) => ({ score, token, token_str, sequence })); // prettier-ignore
    expectClose(known(words), known(reference.words));
    expectClose(known(among), known(reference.among));
    const two = await app!.inject({ method: "POST", url: "/", payload: { inputs: "[MASK] lives in [MASK]", parameters: { top_k: 2 } } }); // prettier-ignore
    expectClose(two.json(), reference.two);
  });

  it("embed texts", async () => {
    const create = "openai.embeddings.create(model='embedder', input=";
    const [one, raw, similar, vectors, floats, ofTokens, short, usage] = await called(
      ...["embedder", "sentence-embeddings"] as const,
      "client.feature_extraction(text)",
      "client.feature_extraction([text, question], normalize=False)",
      "client.sentence_similarity(text, [question])",
      `[row.embedding for row in ${create}[text, question]).data]`,
      `${create}text, encoding_format='float').data[0].embedding`,
      `${create}[[2, 6, 7, 3]]).data[0].embedding`,
      `len(${create}text, dimensions=4).data[0].embedding)`,
      `[vars(${create}'ada lives').usage), ${create}'ada lives').model]`,
    ); // prettier-ignore
    expectClose(one, reference.unit.slice(0, 1));
    expectClose(raw, reference.vectors);
    expectClose(similar, [reference.cosine]);
    expectClose(vectors, reference.unit);
    expectClose(floats, reference.unit[0]);
    expect(ofTokens).toHaveLength(16);
    // The vectors of tokens, whose mean is the text's.
    const all = (await app!.inject({ method: "POST", url: "/embed_all", payload: { inputs: "ada lives" } })).json<number[][][]>()[0]!; // prettier-ignore
    const mean = all[0]!.map((_, i) => all.reduce((sum, vector) => sum + vector[i]!, 0) / all.length);
    const whole = await app!.inject({ method: "POST", url: "/embed", payload: { inputs: "ada lives", normalize: false } }); // prettier-ignore
    expect(all).toHaveLength(4);
    expectClose(mean, whole.json<number[][]>()[0]);
    expect(short).toBe(4);
    expect(usage).toEqual([{ prompt_tokens: 4, total_tokens: 4 }, "embedder"]);
  });
});
