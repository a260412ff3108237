import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAside } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { safeName } from "./safe-name.ts";

type Metrics = Readonly<Record<string, number>>;

const fileOf = (split: string): string => `${split}_results.json`;

/**
 * Writes metrics into `<folder>/<split>_results.json`, and adds them to `all_results.json`: Transformers' files. New `train` results make those
 * of an earlier training out of date: `all_results.json` begins again, and the results of its evaluation and test go. JSON has no NaN and no
 * infinity: they are null.
 * @see https://huggingface.co/docs/transformers/main_classes/trainer#transformers.Trainer.save_metrics
 */
export async function saveMetrics(
  folder: string,
  split: string,
  metrics: Metrics,
  { combined = true }: { combined?: boolean } = {},
): Promise<void> {
  if (split !== safeName(split)) {
    throw new GpugradError(
      `saveMetrics: the split ${JSON.stringify(split)} can't be part of a file's name. ${JSON.stringify(safeName(split))} can.`,
    );
  }
  const write = (name: string, all: Metrics): Promise<void> => {
    const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
    return writeFileAside(join(folder, fileOf(name)), `${JSON.stringify(sorted, null, 4)}\n`);
  };
  await write(split, metrics);
  if (!combined || split === "all") return;
  const isNew = split === "train";
  await write("all", { ...(isNew ? {} : await earlier(join(folder, fileOf("all")))), ...metrics });
  if (isNew) for (const old of ["eval", "test"]) await rm(join(folder, fileOf(old)), { force: true });
}

/** The results so far; none where the file isn't there, or has something else. */
async function earlier(path: string): Promise<Metrics> {
  try {
    const found = JSON.parse(await readFile(path, "utf8")) as unknown;
    return typeof found === "object" && !Array.isArray(found) ? { ...(found as Metrics) } : {};
  } catch {
    return {};
  }
}
