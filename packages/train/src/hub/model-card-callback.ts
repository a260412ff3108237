import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fetchFromHub, writeFileAside } from "@gpugrad/bert";
import { load } from "js-yaml";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import type { Dataset } from "../data/dataset.ts";
import { adapterOf } from "../report/adapter.ts";
import { goesOnWithout } from "../trackers/tracker.ts";
import type { LogEntry } from "../trainer/trainer-state.ts";
import { CARD_MARK, modelCard } from "./model-card.ts";

export interface ModelCardOptions {
  outputDir: string;
  /** Where the model is pushed to: the card's title is its name. Default: the folder's name. */
  hubModelId?: string | null | undefined;
  /** By the Hub's names. Default: that of the model that is fine-tuned. */
  license?: string | undefined;
  /** Called when it can't be written. Default: stderr. */
  warn?: ((message: string) => void) | undefined;
}

/**
 * Keeps `<outputDir>/README.md`, the model's card, up to date: at each checkpoint, at the end, and at evaluations after it. A README.md that
 * was written by hand stays as it is.
 */
export function modelCardCallback({ outputDir, hubModelId, license, warn }: ModelCardOptions): TrainerCallback {
  const path = join(outputDir, "README.md");
  let evaluated: Dataset | undefined;
  let tested: LogEntry | undefined;
  let isOver = false;
  let found: Promise<string | undefined> | undefined;

  const write: Required<TrainerCallback>["onSave"] = async (
    args,
    state,
    _control,
    { model, task, trainDataset, evalDataset },
  ) => {
    const there = await readFile(path, "utf8").catch(() => CARD_MARK);
    if (!there.includes(CARD_MARK)) return;
    const baseModel = model.nameOrPath !== undefined && isOnHub(model.nameOrPath) ? model.nameOrPath : undefined;
    const licenses = (found ??= Promise.resolve(license ?? (baseModel && licenseOf(baseModel))));
    const info = {
      name: hubModelId ?? basename(resolve(outputDir)),
      ...{
        baseModel,
        adapter: adapterOf(model),
        license: await licenses,
        trainDataset,
        evalDataset: evaluated ?? evalDataset,
        tested,
      },
      ...{ task: task.card, facts: task.facts },
    };
    await writeFileAside(path, modelCard(args, state, info));
  };

  return goesOnWithout("model card", warn, {
    onTrainBegin: () => {
      isOver = false;
      tested = undefined;
    },
    onSave: write,
    async onTrainEnd(...args) {
      isOver = true;
      await write(...args);
    },
    async onEvaluate(...args) {
      evaluated = args[3].prediction?.dataset;
      if (isOver) await write(...args);
    },
    async onPredict(...args) {
      const { metrics, prediction } = args[3];
      if (!isOver || !prediction?.labels) return; // nothing was measured
      tested = metrics;
      await write(...args);
    },
  });
}

const isOnHub = (name: string): boolean => /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) && !existsSync(name);

/** What the card of a model on the Hub says; undefined when it can't be read, or says nothing. */
async function licenseOf(repo: string): Promise<string | undefined> {
  try {
    const card = await readFile(
      await fetchFromHub({ repo, path: "README.md", retryMs: 100, onProgress: () => undefined }),
      "utf8",
    );
    const [, metadata] = /^---\r?\n(.*?)\r?\n---/s.exec(card) ?? [];
    const { license } = (metadata === undefined ? {} : load(metadata)) as { license?: unknown };
    return typeof license === "string" && /^[\w.+-]{1,64}$/.test(license) ? license : undefined;
  } catch {
    return undefined; // a missing card is not worth stopping a run
  }
}
