import type { PretrainedConfig } from "@gpugrad/bert";
import { destroy, GpugradError, init } from "@gpugrad/tensor";
import { formatRate, progressLine } from "@gpugrad/train";
import { Option, type Command } from "commander";
import { access, constants } from "node:fs/promises";
import { inputRows, LINE_FORMATS, type BadRow, type InputOptions, type TextRow } from "./input-rows.ts";
import { allowMissingWeights, dtypeOption, type WeightDtype } from "./missing-weights.ts";
import { outputGone, READER_GONE, readerIsGone, writeError, writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { isFinite } from "./finite.ts";
import { exitCodeOf, onStopSignal, StoppedError, unlessStopped } from "../stop-signal.ts";
import { openTextModel, type Task, type TextModel } from "./text-model.ts";
import { inRowOrder, sharedRows } from "../ranks/share-rows.ts";
import { joinRanks } from "../ranks/session.ts";
import { BATCHES_PER_WINDOW, runTexts } from "./text-stream.ts";
import { wholeNumber } from "./texts.ts";
import { truncationOption, type TruncationOptions } from "./truncation.ts";
import { windowsFrom, type WindowFlags } from "./windows.ts";

/** What the output consists of: a header, and a line for each row. */
export interface Output {
  header?: string;
  line: (values: Float32Array, row: TextRow) => string;
  /** What keeps a bad row's place. */
  bad: (row: BadRow) => string;
}

interface Options extends InputOptions, TruncationOptions, WindowFlags {
  batchSize: number;
  skip: number;
  maxLength?: number;
  dtype?: WeightDtype;
  allowMissingWeights?: true;
}

/** How many of the rows whose answers are not numbers are named. */
const NAMED_ROWS = 10;

/** What a command computes of texts with a model, and what it prints. */
export interface TextTask<M extends { readonly config: PretrainedConfig }, O extends object> extends Task<M> {
  /** Rows are a text with choices: as arguments, the choices follow the text. */
  hasChoices?: boolean;
  output: (options: O, model: TextModel) => Output;
}

/**
 * A command that runs a model over texts, those given or the rows of a file or of standard input, and prints a line for each, in
 * their order. Input may be endless: memory is constant, and reading waits for the reader of the output.
 * @param taskOf what to do with the model of this name
 */
export function textCommand<M extends { readonly config: PretrainedConfig }, O extends object>(
  command: Command,
  args: string[],
  taskOf: (model: string) => Promise<TextTask<M, O>>,
): Promise<number> {
  command
    .argument("<model>", "a folder or a hub id")
    .argument("[texts...]")
    .option("--file <file>", "a text per line, or .jsonl, .csv, .tsv (each also .gz), .json, .parquet")
    .addOption(new Option("--format <name>", "what lines hold (default: by the file's name)").choices(LINE_FORMATS))
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--text-pair-column <name>", "the column that holds the second text of a pair")
    .option("--batch-size <n>", "texts at a time", wholeNumber(1), 16)
    .option(
      "--skip <n>",
      "rows to leave out at the beginning, such as those of an output that was interrupted; --csv then has no header",
      wholeNumber(0),
      0,
    )
    .option(
      "--max-length <n>",
      "tokens per text; longer texts are cut (default: as many as the model takes, BERT 512)",
      wholeNumber(1),
    )
    .addOption(truncationOption())
    .addOption(dtypeOption())
    .addOption(allowMissingWeights());
  return runCommand<Options & O>(command, args, async (options, [id, ...texts]) => {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, outputGone]);
    const stopListening = onStopSignal((name) => stop.abort(new StoppedError(name)));
    const count = { rows: 0, bad: 0, cut: 0, tokens: 0 };
    const notFinite: number[] = [];
    const progress = showsProgress() ? progressLine() : undefined;
    const say = (text: string): void => {
      progress?.done();
      writeError(`${command.name()}: ${text}\n`);
    };
    try {
      if (options.file !== undefined && texts.length === 0) await access(options.file, constants.R_OK);
      const { ranks, inTurn, done } = await joinRanks();
      if (ranks.size > 1 && options.file === undefined && texts.length === 0)
        throw new GpugradError(`${command.name()}: ${ranks.size} ranks can't share standard input. Give a --file.`);
      const { maxLength, dtype, allowMissingWeights, truncation } = options;
      const windows = windowsFrom(options);
      const { task, model } = await unlessStopped(signal, async () => {
        await init();
        return inTurn(async () => {
          const task = await taskOf(id!);
          return { task, model: await openTextModel(id!, task, { maxLength, dtype, allowMissingWeights, truncation, windows, say }) }; // prettier-ignore
        });
      });
      const { hasChoices = false } = task;
      const output = task.output(options, model);
      const all = texts.length > 0 ? operandRows(texts, hasChoices) : inputRows({ ...options, hasChoices }, signal);
      const { batchSize, skip } = options;
      const block = BATCHES_PER_WINDOW * batchSize;
      const rows = ranks.size > 1 || skip > 0 ? sharedRows(all, ranks, { block, skip }) : all;
      if (output.header !== undefined && skip === 0 && ranks.isFirst) await writeOutput(`${output.header}\n`, signal);

      const start = performance.now();
      for await (const results of inRowOrder(ranks, runTexts(model, rows, { batchSize, signal }), block)) {
        const lines: string[] = [];
        for (const { row, values, tokens, isCut } of results) {
          count.rows++;
          count.tokens += tokens;
          if (isCut) count.cut++;
          if (!("text" in row)) {
            say(row.error);
            count.bad++;
          } else if (!isFinite(values!)) notFinite.push(skip + count.rows);
          lines.push("text" in row ? output.line(values!, row) : output.bad(row));
        }
        await writeOutput(`${lines.join("\n")}\n`, signal);
        signal.throwIfAborted();
        const seconds = (performance.now() - start) / 1000;
        progress?.update(
          `${count.rows} texts · ${formatRate(count.rows / seconds, "texts")} · ${formatRate(count.tokens / seconds, "tokens")}`,
        );
      }
      progress?.done();
      done();
      if (count.cut > 0)
        say(`${count.cut} of ${count.rows} texts have more than ${model.maxLength} tokens and were cut there.`);
      if (count.bad > 0) say(`${count.bad} of ${count.rows} rows could not be read: see above.`);
      if (notFinite.length > 0) {
        const named = notFinite.slice(0, NAMED_ROWS).join(", ") + (notFinite.length > NAMED_ROWS ? ", …" : "");
        say(
          `the model's numbers for ${notFinite.length} of ${count.rows} texts are NaN or infinite: rows ${named}. ` +
            "Its weights may be damaged, or its training has diverged.",
        );
      }
      return count.bad > 0 || notFinite.length > 0 ? 1 : 0;
    } catch (error) {
      if (readerIsGone()) return READER_GONE;
      if (!(stop.signal.reason instanceof StoppedError)) throw error;
      say(`stopped after ${count.rows} texts.`);
      return exitCodeOf(stop.signal.reason.signal);
    } finally {
      stopListening();
      stop.abort(); // closes the input, where it is still open
      await destroy();
    }
  });
}

async function* operandRows(texts: readonly string[], hasChoices: boolean): AsyncGenerator<TextRow> {
  const [text, ...choices] = texts;
  if (!hasChoices) for (const text of texts) yield { text };
  else if (choices.length > 0) yield { text: text!, choices };
  else throw new GpugradError("the text has no choices. Give them after it, or a --file with a list of choices in each row."); // prettier-ignore
}

/** On a terminal, unless the results go there too. */
const showsProgress = (): boolean => process.stderr.isTTY === true && process.stdout.isTTY !== true;

/** One field of a table whose fields are separated by tabs: without line ends and tabs of its own. */
export const plainField = (text: string): string => text.replace(/[\t\r\n]+/g, " ");
