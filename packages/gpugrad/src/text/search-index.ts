import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { openFile, SafetensorsFile, writeSafetensors, type Folder } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";

/** Vectors of length 1, a row for each text. */
export interface Vectors {
  data: Float32Array;
  width: number;
}

/** What the vectors of a model depend on. A model in several files is known by the index of its weights. */
const MODEL_FILES = ["config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json", "vocab.txt", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"]; // prettier-ignore

/** Bytes that are read at a time. */
const PIECE = 8 << 20;

/** A text that differs where a file that is searched, its model, or how its texts are read differs. */
export async function indexKey(folder: Folder, file: string, settings: object): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const name of [...MODEL_FILES, undefined]) {
    const source = name === undefined ? await openFile(file) : await folder.open(name);
    hash.update(`\n${name} ${source?.size}\n`);
    if (!source) continue;
    try {
      for (let at = 0; at < source.size; at += PIECE)
        hash.update(await source.read(at, Math.min(PIECE, source.size - at)));
    } finally {
      await source.close();
    }
  }
  return hash.digest("hex");
}

/**
 * The vectors of an index file; undefined where there is none yet, or they are of other texts or another model.
 * @throws for a file that is something else: it would be overwritten
 */
export async function readIndex(path: string, key: string): Promise<Vectors | undefined> {
  if (!existsSync(path)) return undefined;
  const file = await SafetensorsFile.open(path).catch(() => undefined);
  try {
    const found = file?.metadata["gpugrad_search"];
    if (!file || found === undefined)
      throw new GpugradError(`${path}: not an index of gpugrad search. Delete it, or name another file with --index.`);
    if (found !== key) return undefined;
    const { bytes, shape } = await file.read("embeddings");
    return { data: new Float32Array(bytes.slice().buffer), width: shape[1]! };
  } finally {
    await file?.close();
  }
}

/** Writes an index file, whole or not at all. */
export function writeIndex(path: string, key: string, { data, width }: Vectors): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const shape = [data.length / width, width];
  return writeSafetensors(path, [{ name: "embeddings", dtype: "F32", shape, bytes }], { gpugrad_search: key });
}

/** The rows whose vectors have the greatest cosine with `query`, the best first; of equal ones, the first. */
export function nearest(
  { data, width }: Vectors,
  query: readonly number[],
  k: number,
): { row: number; score: number }[] {
  const scores = Array.from({ length: data.length / width }, (_, row) => {
    let score = 0;
    for (let i = 0; i < width; i++) score += data[row * width + i]! * query[i]!;
    return { row, score };
  });
  return scores.filter(({ score }) => Number.isFinite(score)).sort((a, b) => b.score - a.score).slice(0, k); // prettier-ignore
}
