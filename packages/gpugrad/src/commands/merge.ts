import {
  AutoModelForSequenceClassification,
  AutoTokenizer,
  openFolder,
  readJson,
  readSentenceSettings,
  readText,
  sentenceFiles,
  sizesOf,
  writeFileAside,
} from "@gpugrad/bert";
import { destroy, GpugradError, init } from "@gpugrad/tensor";
import { Command } from "commander";
import { writeError } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { kindOfModel } from "../train/kinds.ts";

/** `gpugrad merge ADAPTER --output_dir FOLDER`: a model with an adapter's updates in its weights, as any other model's folder. */
export function merge(args: string[]): Promise<number> {
  const command = new Command("gpugrad merge")
    .description(
      "Writes a model with an adapter's updates in its weights: a folder as any other model's, without PEFT. The model that the adapter " +
        "was trained on is opened from where adapter_config.json says.",
    )
    .argument("<adapter>", "a folder or a hub id")
    .requiredOption("--output-dir <folder>", "where model and tokenizer are written")
    .allowExcessArguments(false);
  return runCommand<{ outputDir: string }>(command, args, async ({ outputDir }, [id]) => {
    const folder = await openFolder(id!);
    if (!(await readJson(folder, "adapter_config.json")))
      throw new GpugradError(
        `merge: ${id} has no adapter_config.json: it is not an adapter. There is nothing to merge.`,
      );
    await init();
    try {
      const { Auto = AutoModelForSequenceClassification } = (await kindOfModel(folder)) ?? {};
      const model = await Auto.fromPretrained(folder);
      const tokenizer = await AutoTokenizer.fromPretrained(folder);
      await model.savePretrained(outputDir);
      await tokenizer.savePretrained(outputDir);
      if ((await readText(folder, "modules.json")) !== undefined) {
        const hiddenSize = sizesOf(model.config).hidden_size!;
        const files = sentenceFiles(await readSentenceSettings(folder, hiddenSize), hiddenSize);
        for (const [file, value] of Object.entries(files))
          await writeFileAside(`${outputDir}/${file}`, `${JSON.stringify(value, null, 2)}\n`);
      }
      writeError(`saved the merged model and its tokenizer in ${outputDir}\n`);
      return 0;
    } finally {
      await destroy();
    }
  });
}
