import { AutoModelForQuestionAnswering, AutoTokenizer, openFile, openFolder } from "@gpugrad/bert";
import { destroy, GpugradError, init } from "@gpugrad/tensor";
import { Dataset, openTable, questionAnswering, questionDataset, questionWindows, Trainer } from "@gpugrad/train";
import { Command } from "commander";
import { basename } from "node:path";
import { writeError, writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { allowMissingWeights, refuseMissing } from "../text/missing-weights.ts";
import { plainField } from "../text/text-command.ts";
import { wholeNumber } from "../text/texts.ts";
import { addAnswerOptions } from "../train/task-options.ts";

interface Options {
  file?: string;
  maxLength: number;
  docStride?: number;
  version2WithNegative?: true;
  nBestSize?: number;
  maxAnswerLength?: number;
  nullScoreDiffThreshold?: number;
  perDeviceEvalBatchSize: number;
  json?: true;
  allowMissingWeights?: true;
}

/** `gpugrad answer MODEL QUESTION CONTEXT`: the answer to a question in a text. */
export function answer(args: string[]): Promise<number> {
  const command = new Command("gpugrad answer")
    .description(
      "Answers a question about a text, or the questions of --file (SQuAD's JSON, or rows with question and context). Prints a line for each: probability, answer " +
        "and question, with tabs between them. A long text has several windows.",
    )
    .argument("<model>", "a folder or a hub id")
    .argument("[question]")
    .argument("[context]")
    .option("--file <file>", "questions with their contexts: .json, .jsonl, .csv, .tsv or .parquet")
    .option("--max-length <n>", "tokens of a window", wholeNumber(1), 384)
    .option("--per-device-eval-batch-size <n>", "windows at a time", wholeNumber(1), 16)
    .option("--json", 'a line {"id", "answer", "score", "start", "end", "n_best"} per question')
    .addOption(allowMissingWeights());
  addAnswerOptions(command);
  return runCommand<Options>(command, args, async (options, [id, question, context]) => {
    const { file, docStride = 128, nBestSize, maxAnswerLength, nullScoreDiffThreshold } = options;
    if ((context === undefined) === (file === undefined))
      command.error("error: give a question and a context, or --file, but not both.");
    const say = (text: string): void => writeError(`${command.name()}: ${text}\n`);
    await init();
    try {
      const folder = await openFolder(id!);
      const tokenizer = await AutoTokenizer.fromPretrained(folder);
      const opened = await AutoModelForQuestionAnswering.fromPretrained(folder, { dtype: "f32", onReport: say });
      const model = refuseMissing(
        opened,
        { allowMissingWeights: options.allowMissingWeights, say },
        { head: "ForQuestionAnswering" },
      );
      const maxLength = Math.min(model.config.maxLength, tokenizer.modelMaxLength, options.maxLength);
      const questions =
        file === undefined
          ? Dataset.fromRows([{ text: question!, text_pair: context!, id: "0" }])
          : await questionDataset(await openTable(basename(file), () => openFile(file)));
      if (questions.length === 0) throw new GpugradError(`${questions.name}: no questions.`);
      const stride = Math.min(docStride, Math.floor(maxLength / 3));
      const windows = await questionWindows(questions, tokenizer, { maxLength, stride });
      const task = questionAnswering({
        version2: options.version2WithNegative === true,
        ...(nBestSize !== undefined && { nBestSize }),
        ...(maxAnswerLength !== undefined && { maxAnswerLength }),
        ...(nullScoreDiffThreshold !== undefined && { nullScoreDiffThreshold }),
      });
      const args = { perDeviceEvalBatchSize: options.perDeviceEvalBatchSize, maxLength };
      const { predictions } = await new Trainer({ model, tokenizer, task, args }).predict(windows);
      for (const { id: name, question: asked, answer: text, nBest } of predictions) {
        const best = nBest.find((each) => each.text === text) ?? nBest[0]!;
        const { probability: score, start, end } = best;
        await writeOutput(
          options.json
            ? `${JSON.stringify({ id: name, answer: text, score, start, end, n_best: nBest })}\n`
            : `${[score.toFixed(4), text, asked].map(plainField).join("\t")}\n`,
        );
      }
      return 0;
    } finally {
      await destroy();
    }
  });
}
