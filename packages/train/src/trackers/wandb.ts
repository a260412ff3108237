import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { shareable } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import { shareableArguments } from "../hub/shareable-arguments.ts";
import { goesOnWithout, taggedLogs, type TrackerOptions } from "./tracker.ts";

/** How long the end of a run waits for what is still to be sent. */
const finishMs = 60_000;

/**
 * Reports to Weights & Biases, through its SDK `@wandb/sdk`, which is to be installed beside this package: the entries of the log under
 * Transformers' tags with `train/global_step`, arguments and model configuration as the run's config. The key is WANDB_API_KEY or that of
 * `~/.netrc`, the project WANDB_PROJECT, or Transformers' `huggingface`; WANDB_MODE=disabled reports nothing. A run that is resumed is another
 * run there, with `resumed_from_step` in its config.
 *
 * The SDK runs in a thread of its own: it takes signals, and throws where nobody can catch it.
 * @throws when the SDK isn't installed
 * @see https://docs.wandb.ai
 */
export function wandbTracker({
  runName,
  warn = console.warn,
  sdk = "@wandb/sdk",
}: TrackerOptions & { sdk?: string }): TrainerCallback {
  if (process.env["WANDB_MODE"] === "disabled") return {};
  const url = resolveSdk(sdk);
  let worker: Worker | undefined;
  let exit: Promise<unknown> | undefined;
  let problem: string | undefined;
  const send = (message: unknown): void => {
    if (problem !== undefined) throw new Error(problem);
    worker?.postMessage(message);
  };
  return goesOnWithout("reportTo wandb", warn, {
    onTrainBegin(args, { globalStep }, _control, { model }) {
      if (worker) return; // the same run, on another device
      const config = {
        ...(shareable(model.config.toJSON()) as object),
        ...shareableArguments(args),
        ...(globalStep > 0 && { resumed_from_step: globalStep }),
      };
      const run = { project: process.env["WANDB_PROJECT"] ?? "huggingface", ...(runName && { name: runName }), config };
      worker = new Worker(IN_ITS_THREAD, { eval: true, workerData: { sdk: url, run } });
      worker.unref(); // a run that fails ends the process
      exit = new Promise((resolve) => worker!.once("exit", resolve));
      worker.on("message", (page: string) => warn(`wandb: ${page}`));
      worker.on("error", (error) => (problem = error.message.replace(/([^.])$/, "$1.")));
    },
    onLog(_args, { globalStep }, _control, { logs }) {
      send({ log: { ...taggedLogs(logs!), "train/global_step": globalStep } });
    },
    async onTrainEnd() {
      send({ finish: true });
      worker!.ref();
      const timer = setTimeout(() => void worker!.terminate(), finishMs);
      await exit;
      clearTimeout(timer);
      worker = undefined;
      if (problem !== undefined) throw new Error(problem);
    },
  });
}

/** Plain JavaScript: what the other side does. Messages wait until the run is there. */
const IN_ITS_THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
(async () => {
  const { default: module } = await import(workerData.sdk);
  const { init } = module.default ?? module;
  const run = await init({ ...workerData.run, settings: { silent: true } });
  parentPort.postMessage(run.url());
  parentPort.on("message", async ({ log, finish }) => {
    if (log) run.log(log);
    if (finish) await run.finish().then(() => process.exit());
  });
})().catch((error) => setImmediate(() => { throw error; }));
`;

function resolveSdk(name: string): string {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), "package.json"))])
    try {
      return pathToFileURL(createRequire(from).resolve(name)).href;
    } catch {
      // perhaps the other place has it
    }
  throw new GpugradError(
    `reportTo wandb: its SDK is not installed. Run \`npm install ${name}\`, or leave wandb out of reportTo.`,
  );
}
