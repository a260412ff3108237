import {
  dataFolder,
  Dataset,
  generateReviews,
  labelsAs,
  loadDatasetDict,
  openTable,
  REVIEW_LABELS,
  shuffledIndices,
  tableDataset,
  DataError,
} from "@gpugrad/train";
import { byteSource } from "@gpugrad/bert";
import type { Settings } from "./settings.ts";

export interface PlayData {
  train: Dataset;
  evaluated: Dataset;
}

/** The rows that settings ask for; where there is no split to evaluate on, a tenth is held out. */
export async function openData(settings: Settings, files: readonly File[]): Promise<PlayData> {
  const { data, dataset, endpoint, train_rows, eval_rows, max_train_samples, max_eval_samples } = settings;
  const seed = Number(settings.seed);
  if (data === "reviews") {
    const train = generateReviews({ count: Number(train_rows), seed: 1 });
    const evaluated = generateReviews({ count: Number(eval_rows), seed: 2, except: train.map(({ text }) => text) });
    const options = { name: "made-up reviews", labelNames: REVIEW_LABELS };
    return limited({ train: Dataset.fromRows(train, options), evaluated: Dataset.fromRows(evaluated, options) });
  }
  if (data === "files" && files.length === 0)
    throw new DataError("no files to train on. Pick a CSV, TSV, JSON, JSONL or parquet file with a column of texts and one of labels."); // prettier-ignore
  const splits =
    data === "hub"
      ? await loadDatasetDict(String(dataset), { endpoint: String(endpoint), splits: ["train", "test"] }).catch(
          async (error: Error) => {
            if (!/split/.test(error.message)) throw error;
            return loadDatasetDict(String(dataset), { endpoint: String(endpoint) });
          },
        )
      : await openFiles(files);
  const train = splits["train"] ?? Object.values(splits)[0]!;
  const other = splits["validation"] ?? splits["test"];
  if (other && other !== train) return limited({ train, evaluated: other });
  const order = shuffledIndices(train.length, seed, 0);
  const held = Math.ceil(train.length / 10);
  return limited({ train: train.select(order.slice(held).sort()), evaluated: train.select(order.slice(0, held).sort()) }); // prettier-ignore

  function limited({ train, evaluated }: PlayData): PlayData {
    const pick = (rows: Dataset, limit: string | number): Dataset =>
      Number(limit) > 0 && Number(limit) < rows.length
        ? rows.select(shuffledIndices(rows.length, seed, 0).slice(0, Number(limit)))
        : rows;
    return { train: pick(train, max_train_samples), evaluated: pick(evaluated, max_eval_samples) };
  }
}

/** One file is the whole data; several are splits by their names, as in a folder. */
async function openFiles(files: readonly File[]): Promise<Record<string, Dataset>> {
  const [only] = files;
  if (files.length > 1) return loadDatasetDict(dataFolder(Object.fromEntries(files.map((file) => [file.name, file]))));
  const table = await openTable(only!.name, () => Promise.resolve(byteSource(only!, only!.name)));
  const train = await tableDataset(table, {});
  return { train: train.labels.names ? train : await tableDataset(table, labelsAs(train)) };
}
