import { rm } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { createRepo, pushToHub, repoId, type OnProgress, type PushResult } from "@gpugrad/bert";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import { checkpointsIn } from "../checkpoint/checkpoints.ts";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { stage, type Staged } from "./stage.ts";

export interface HubCallbackOptions {
  outputDir: string;
  args: TrainingArguments;
  /** Called with what went wrong, and how to upload later. Default: stderr. */
  warn?: ((message: string) => void) | undefined;
  /** Called with what is about to be uploaded, where that includes new files. Default: stderr. */
  say?: ((message: string) => void) | undefined;
  /** Default: quiet, since training has its own line; `warn` is called with files that are left out. */
  onProgress?: OnProgress | undefined;
  /** Default HF_ENDPOINT, then https://huggingface.co. */
  endpoint?: string | undefined;
  /** The pause before the first new try, in milliseconds; it doubles with each. Default 500. */
  retryMs?: number | undefined;
}

/** Uploads a run: see {@link hubCallback}. */
export interface HubCallback extends TrainerCallback {
  /**
   * Waits for the upload under way, then uploads the output folder as it is now.
   * @returns undefined where that failed, after calling `warn`
   */
  push(commitMessage?: string): Promise<PushResult | undefined>;
}

/**
 * Uploads to the Hub beside training, by Transformers' strategies: `every_save` the model of each checkpoint; `checkpoint` with it what resuming
 * needs, as `last-checkpoint/`; `all_checkpoints` each of them under its own name; `end` nothing before `push()`. A checkpoint that comes while an
 * upload is under way is left to the next one. Training doesn't wait for uploads, and never fails because of one.
 * @see https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments.hub_strategy
 */
export function hubCallback(options: HubCallbackOptions): HubCallback {
  const { outputDir, args, warn = console.warn, endpoint, retryMs } = options;
  const { onProgress = ({ status, message }) => void (status === "note" && warn(`push to hub: ${message}`)) } = options;
  const { say = (message) => void process.stderr.write(`${message}\n`) } = options;
  const { hubStrategy, hubToken, hubPrivateRepo, hubRevision, pushTexts } = args;
  const repo = repoId(
    args.hubModelId ?? basename(resolve(outputDir)),
    "not the id of a repository to upload to: set hubModelId (--hub_model_id) to a namespace and a name, without an address",
  );
  const where = {
    repo,
    ...(hubToken !== null && { token: hubToken }),
    ...(hubPrivateRepo && { private: true }),
    ...(endpoint !== undefined && { endpoint }),
    ...(retryMs !== undefined && { retryMs }),
  };
  let underWay: Promise<unknown> | undefined;
  let lastReason: string | undefined;
  const announced = new Set<string>();

  async function upload({ folder, leftOut }: Staged, commitMessage: string): Promise<PushResult | undefined> {
    const announce = (message: string, paths: readonly string[]): void => {
      const stays =
        leftOut.length > 0 && `. Not uploaded, since texts may be in it: ${leftOut.join(", ")} (--push_texts)`;
      if (paths.some((path) => !announced.has(path))) say(`${message}${stays || ""}`);
      for (const path of paths) announced.add(path);
    };
    try {
      return await pushToHub(folder, {
        ...where,
        ...{ commitMessage, onProgress, announce, ignore: () => false, secretPaths: [resolve(outputDir)] },
        texts: true, // what may hold texts is not staged
        ...(hubRevision !== null && { revision: hubRevision }),
      });
    } catch (error) {
      return failed(error);
    } finally {
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  function failed(error: unknown): undefined {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason === lastReason) return; // each checkpoint would say so again
    lastReason = reason;
    const later = `pushToHub(${JSON.stringify(outputDir)}, { repo: ${JSON.stringify(repo)} })`;
    warn(`push to hub: ${reason} Nothing is lost: ${outputDir} can be uploaded later, with ${later}.`);
  }

  async function checkpointsToSend(): Promise<Record<string, string>> {
    const all = await checkpointsIn(outputDir);
    if (hubStrategy === "all_checkpoints") return Object.fromEntries(all.map(({ path }) => [basename(path), path]));
    const last = all.at(-1);
    return hubStrategy === "checkpoint" && last ? { "last-checkpoint": last.path } : {};
  }

  return {
    onTrainBegin() {
      if (underWay) return;
      // A wrong token, or a repository of somebody else, is reported before the hours of training.
      underWay = createRepo(where).catch(failed).finally(() => (underWay = undefined)); // prettier-ignore
    },
    async onSave({ saveStrategy }, { globalStep, epoch }, _control, { checkpoint }) {
      if (underWay || hubStrategy === "end") return;
      const when = saveStrategy === "epoch" ? `epoch ${Math.round(epoch)}` : `step ${globalStep}`;
      try {
        const parts = { model: checkpoint, checkpoints: await checkpointsToSend(), texts: pushTexts };
        underWay = upload(await stage(outputDir, parts), `Training in progress, ${when}`).finally(
          () => (underWay = undefined),
        );
      } catch (error) {
        failed(error);
      }
    },
    async push(commitMessage = "End of training") {
      await underWay;
      try {
        const parts = { checkpoints: await checkpointsToSend(), texts: pushTexts };
        return await upload(await stage(outputDir, parts), commitMessage);
      } catch (error) {
        return failed(error);
      }
    },
  };
}
