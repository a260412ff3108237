import { appendFile, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { shareable } from "@gpugrad/bert";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import { safeName } from "../checkpoint/safe-name.ts";
import { shareableArguments } from "../hub/shareable-arguments.ts";
import { fileVersion, markdown, scalars, sessionStart } from "./event.ts";
import { tfrecord } from "./tfrecord.ts";
import { goesOnWithout, taggedLogs, type TrackerOptions } from "./tracker.ts";

/**
 * Writes event files for TensorBoard, `<outputDir>/runs/<run>/events.out.tfevents.*`, under the tags that Transformers has: `train/loss`,
 * `eval/accuracy`, …; arguments and model configuration as texts. The folder has the run's name, or the time. A run that is resumed continues in its
 * folder, with a file of its own.
 *
 * `tensorboard --logdir <outputDir>/runs` shows them.
 * @see https://huggingface.co/docs/transformers/main_classes/callback#transformers.integrations.TensorBoardCallback
 */
export function tensorBoardTracker({ outputDir, runName, warn }: TrackerOptions): TrainerCallback {
  const runs = join(outputDir, "runs");
  let file: string | undefined;
  const write = (...events: Uint8Array[]): Promise<void> => appendFile(file!, Buffer.concat(events.map(tfrecord)));

  async function begin(step: number): Promise<void> {
    const earlier = step > 0 ? await newestIn(runs) : undefined;
    const name = runName == null ? (earlier ?? nameByTime(new Date())) : safeName(runName);
    const folder = join(runs, name);
    await mkdir(folder, { recursive: true });
    const others = (await readdir(folder)).length; // two files may be begun in one second
    file = join(folder, `events.out.tfevents.${Math.floor(now())}.gpugrad.${process.pid}.${others}`);
    await write(fileVersion(now()), ...(step > 0 ? [sessionStart(now(), step + 1)] : []));
  }

  return goesOnWithout("reportTo tensorboard", warn, {
    async onTrainBegin(args, { globalStep }, _control, { model }) {
      await begin(globalStep);
      await write(
        markdown(now(), "args", asCode(shareableArguments(args))),
        markdown(now(), "model_config", asCode(shareable(model.config.toJSON()))),
      );
    },
    async onLog(_args, { globalStep }, _control, { logs }) {
      if (!file) await begin(globalStep); // evaluate() without train()
      await write(scalars(now(), globalStep, taggedLogs(logs!)));
    },
    onTrainEnd() {
      file = undefined;
    },
  });
}

const now = (): number => Date.now() / 1000;

const asCode = (value: unknown): string => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;

/** `Nov24_09-30-00`: PyTorch's name of a run, without the machine's, which a pushed folder would make public. */
function nameByTime(time: Date): string {
  const [, month, day, , clock] = time.toString().split(" ");
  return `${month}${day}_${clock!.replaceAll(":", "-")}`;
}

/** The folder that was begun last. */
async function newestIn(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const times = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mtimeMs));
  return names[times.indexOf(Math.max(...times))];
}
