import type { Encoded } from "../../packages/gpugrad/src/text/text-model.ts";
import { createServer } from "../../packages/gpugrad/src/serve/server.ts";
import type { TextModel } from "../../packages/gpugrad/src/text/text-model.ts";
import { textOf, type Target } from "../target.ts";

/** A model that answers at once: what is tested is what comes before it and after it. */
const model = {
  isReady: true,
  rebuilds: 0,
  config: { problem_type: undefined, num_labels: 2, id2label: { 0: "no", 1: "yes" } },
  maxLength: 64,
  encode: (rows: readonly unknown[]) => Promise.resolve(rows.map(() => ({ input_ids: [1], token_type_ids: [0] }))),
  compute: (batch: readonly Encoded[]) => Promise.resolve(batch.map(() => Float32Array.of(0, 1))),
  join: ([logits]: readonly Float32Array[]) => logits!,
};
const app = createServer(model as unknown as TextModel, {
  ...{ maxBatchSize: 8, maxWait: 0, maxQueueSize: 64, maxClientBatchSize: 32, maxBodySize: 1 << 16 },
  ...{ host: "127.0.0.1", allowedHosts: [], corsOrigin: [] },
});

/** Bodies of `POST /predict`. */
export const serveBodies: Target = {
  name: "serve-bodies",
  seeds: [
    '{"inputs":"a film"}',
    '{"inputs":["a",{"text":"b","text_pair":"c"}],"parameters":{"top_k":1,"function_to_apply":"sigmoid"}}',
  ],
  dictionary: [
    '"inputs"',
    '"text"',
    '"top_k":1e9',
    '"parameters":[]',
    "null",
    '"__proto__":{}',
    '"constructor":{"prototype":1}',
    "[[",
  ],
  async read(input) {
    const headers = { "content-type": "application/json" };
    const { statusCode, body } = await app.inject({ method: "POST", url: "/predict", headers, payload: textOf(input) });
    if (statusCode >= 500) throw new Error(`status ${statusCode}: ${body}`);
  },
};
