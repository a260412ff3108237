import { checkOptions, GpugradError } from "@gpugrad/tensor";
import { saveTokenizer, tokenCache } from "#files";
import { encodeRows, type BatchTokenizer } from "../../data/batch.ts";
import type { Dataset } from "../../data/dataset.ts";
import { Trainer } from "../../trainer/trainer.ts";
import type { Predictions, RowPrediction } from "../sequence-classification/predictions.ts";
import type { Task, TrainableModel } from "../task.ts";
import { TEACHER_LOGITS } from "./distillation.ts";

/** How a teacher's logits are made, and where they are kept. */
export interface TeacherLogitsOptions {
  teacher: TrainableModel;
  /** What the teacher was trained for: one that has a row of logits for each row of the data. */
  task: Task<Predictions, RowPrediction>;
  tokenizer: BatchTokenizer;
  /** Tokens per row at most, as in training. */
  maxLength: number;
  /** Rows that the teacher takes at a time (default 8). */
  batchSize?: number;
  /** The folder to keep logits in, as of `tokenizeDataset`; `false`: in memory alone. */
  cacheDir?: string | false;
}

/** A dataset whose rows bring their teacher's logits. */
export interface TaughtDataset {
  dataset: Dataset;
  /** Where the logits are, and whether an earlier run left them there. */
  cache: { path: string; hit: boolean } | undefined;
  /** Why they are not on disk. */
  note: string | undefined;
}

const FORMAT = "gpugrad teacher logits 1";

/** Rows that are tokenized at a time, for the key. */
const CHUNK = 256;

/**
 * Gives the rows of a dataset their teacher's logits, computed once and kept on disk for the next epochs and runs, so that
 * `distillation()` doesn't run the teacher again. They are kept under a key that covers the tokens of every row and the teacher's weights; a
 * file that is damaged is made again.
 *
 * @throws {@link GpugradError} for a task that has more than a row of logits for each row, such as one for each token
 */
export async function withTeacherLogits(dataset: Dataset, options: TeacherLogitsOptions): Promise<TaughtDataset> {
  checkOptions("withTeacherLogits", options, {
    ...{ teacher: "object", task: "object", tokenizer: "object", maxLength: "number", batchSize: "number?" },
    cacheDir: "any",
  });
  const { teacher, task, tokenizer, maxLength, batchSize = 8, cacheDir } = options;
  if (task.encode)
    throw new GpugradError(
      `withTeacherLogits: a teacher's logits are kept where there is one row of them for each text, but ${task.name} has more, ` +
        "or other ones in each epoch. Leave it out: the teacher then computes beside the student.",
    );
  const compute = async (): Promise<Float32Array> => {
    const args = { maxLength, perDeviceEvalBatchSize: batchSize };
    return (await new Trainer({ model: teacher, task, tokenizer, args }).predict(dataset)).predictions;
  };
  const key = cacheDir === false ? undefined : await keyOf(dataset, options);
  if (key === undefined) return { dataset: withLogits(dataset, await compute()), cache: undefined, note: undefined };

  const cache = tokenCache(cacheDir || undefined);
  const found = await cache.find(key);
  if (found) {
    const { buffer } = await found.read(0, found.size);
    await found.close();
    return { dataset: withLogits(dataset, new Float32Array(buffer)), cache: { path: found.name, hit: true }, note: undefined }; // prettier-ignore
  }
  const logits = await compute();
  const written = await cache.write(key, pieces(logits));
  if (typeof written === "string")
    return { dataset: withLogits(dataset, logits), cache: undefined, note: `the teacher's logits are in memory: ${written}` }; // prettier-ignore
  await written.close();
  return { dataset: withLogits(dataset, logits), cache: { path: written.name, hit: false }, note: undefined };
}

/** The rows with a column of logits, of which there are as many for each. */
function withLogits(dataset: Dataset, logits: Float32Array): Dataset {
  const width = logits.length / dataset.length;
  return dataset.map((row, i) => ({ ...row, [TEACHER_LOGITS]: logits.subarray(i * width, (i + 1) * width) }));
}

async function* pieces(logits: Float32Array): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
}

/** What the logits depend on, as a hash; undefined where nothing can be kept, as in a browser. */
async function keyOf(
  dataset: Dataset,
  { teacher, tokenizer, maxLength }: TeacherLogitsOptions,
): Promise<string | undefined> {
  const saved = await saveTokenizer(tokenizer);
  if (!saved) return undefined;
  const { hash } = saved;
  await saved.remove();
  const { problem_type: _, ...config } = teacher.config.toJSON(); // the first labels decide it where it is not set
  hash.update(JSON.stringify([FORMAT, maxLength, config]));
  for (const [name, tensor] of teacher.namedParameters()) hash.update(name).update(await tensor.bytes());
  for (let start = 0; start < dataset.length; start += CHUNK) {
    const count = Math.min(CHUNK, dataset.length - start);
    const rows = await Promise.all(Array.from({ length: count }, (_, k) => dataset.row(start + k)));
    for (const { input_ids, token_type_ids = [] } of encodeRows(tokenizer, rows, maxLength))
      hash.update(JSON.stringify([Array.from(input_ids), Array.from(token_type_ids)]));
  }
  return hash.digest("hex");
}
