import { addStartOptions, checkStartTask, writeStartingPoint, type StartOptions } from "../train/starting-point.ts";
import { trainCommand } from "../train/train-command.ts";

/** `gpugrad pretrain`: trains a model of random weights, with a vocabulary that is learned from the same texts. */
export function pretrain(args: string[]): Promise<number> {
  return trainCommand<StartOptions>(args, {
    name: "gpugrad pretrain",
    description:
      "Trains a model from random weights on texts: learns a vocabulary, writes it and the model's configuration into OUTPUT_DIR/start, and trains from " +
      "there. With --task pretraining on pairs of texts as well, as BERT and ALBERT were first trained.",
    defaults: () => ({ task: "masked-lm", fromScratch: true, reportTo: ["html", "jsonl"] }),
    makesModel: true,
    addOptions: addStartOptions,
    async prepare({ options }, note) {
      checkStartTask(options.task);
      await writeStartingPoint(options.model, options, note);
    },
  });
}
