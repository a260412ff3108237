/** A run that is made to be killed: `survive-run.ts FOLDER`. Continues from the newest checkpoint there, if there is one. */
import { readdirSync } from "node:fs";
import { destroy, init } from "@gpugrad/tensor";
import { Trainer } from "@gpugrad/train";
import { args, dataset, tinyModel, tokenizer } from "./tiny-task.ts";

const [outputDir] = process.argv.slice(2);
await init();
const trainer = new Trainer({
  ...{ model: tinyModel(), tokenizer, trainDataset: dataset, evalDataset: dataset },
  args: { ...args, outputDir: outputDir! },
  callbacks: [
    { onStepResult: (_args, _state, _control, { result }) => void process.stdout.write(`${result!.step}\n`) },
  ],
});
const hasCheckpoint = readdirSync(outputDir!).some((name) => /^checkpoint-\d+$/.test(name));
await trainer.train({ resumeFromCheckpoint: hasCheckpoint });
await trainer.saveModel();
await destroy();
