import type { BertConfig } from "@gpugrad/bert";
import { destroy, init } from "@gpugrad/tensor";
import { formatRate, progressLine } from "@gpugrad/train";
import { Option, type Command } from "commander";
import { once } from "node:events";
import { access, constants } from "node:fs/promises";
import { inputRows, LINE_FORMATS, type BadRow, type InputOptions, type TextRow } from "./input-rows.ts";
import { runCommand } from "./run-command.ts";
import { exitCodeOf, onStopSignal } from "./stop-signal.ts";
import { openTextModel, type Task } from "./text-model.ts";
import { runTexts } from "./text-stream.ts";
import { wholeNumber } from "./texts.ts";

/** What stands in the output: a header, and a line for each row. */
export interface Output {
  header?: string;
  line: (values: Float32Array, row: TextRow) => string;
  /** What keeps a bad row's place. */
  bad: (row: BadRow) => string;
}

interface Options extends InputOptions {
  batchSize: number;
  maxLength?: number;
}

/**
 * A command that runs a model over texts, those given or the rows of a file or of standard input, and prints a line for each, in
 * their order. Input may be without end: memory is constant, and reading waits for whoever reads the output.
 */
export function textCommand<M extends { readonly config: BertConfig }, O extends object>(
  command: Command,
  args: string[],
  task: Task<M> & { output: (options: O, config: BertConfig) => Output },
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
      "--max-length <n>",
      "tokens per text; longer texts are cut (default: as many as the model takes, BERT 512)",
      wholeNumber(1),
    );
  return runCommand<Options & O>(command, args, async (options, [id, ...texts]) => {
    const stop = new AbortController();
    let stoppedBy: NodeJS.Signals | undefined;
    const stopListening = onStopSignal((signal) => {
      stoppedBy = signal;
      stop.abort();
    });
    let done = 0;
    const progress = showsProgress() ? progressLine() : undefined;
    const say = (text: string): void => {
      progress?.done();
      process.stderr.write(`${command.name()}: ${text}\n`);
    };
    try {
      if (options.file !== undefined && texts.length === 0) await access(options.file, constants.R_OK);
      await init();
      const model = await openTextModel(id!, task, { maxLength: options.maxLength, say });
      const output = task.output(options, model.config);
      const rows = texts.length > 0 ? operandRows(texts) : inputRows(options, stop.signal);
      if (output.header !== undefined) await print(`${output.header}\n`, stop.signal);

      const start = performance.now();
      let badRows = 0;
      let tokens = 0;
      for await (const results of runTexts(model, rows, { batchSize: options.batchSize, signal: stop.signal })) {
        const lines = results.map(({ row, values }) => ("text" in row ? output.line(values!, row) : output.bad(row)));
        const errors = results.flatMap(({ row }) => ("text" in row ? [] : [row.error]));
        for (const error of errors) say(error);
        done += results.length;
        badRows += errors.length;
        tokens += results.reduce((sum, result) => sum + result.tokens, 0);
        await print(`${lines.join("\n")}\n`, stop.signal);
        const seconds = (performance.now() - start) / 1000;
        progress?.update(
          `${done} texts · ${formatRate(done / seconds, "texts")} · ${formatRate(tokens / seconds, "tokens")}`,
        );
      }
      progress?.done();
      if (badRows === 0) return 0;
      say(`${badRows} of ${done} rows could not be read: see above.`);
      return 1;
    } catch (error) {
      if (!stoppedBy) throw error;
      say(`stopped after ${done} texts.`);
      return exitCodeOf(stoppedBy);
    } finally {
      stopListening();
      stop.abort(); // closes the input, where it is still open
      await destroy();
    }
  });
}

async function* operandRows(texts: readonly string[]): AsyncGenerator<TextRow> {
  for (const text of texts) yield { text };
}

/** On a terminal, unless the results go there too. */
const showsProgress = (): boolean => process.stderr.isTTY === true && process.stdout.isTTY !== true;

/** Writes to standard output, and waits for its reader where that is slow. */
async function print(text: string, signal: AbortSignal): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain", { signal });
}

/** One field of a table whose fields are separated by tabs: without line ends and tabs of its own. */
export const plainField = (text: string): string => text.replace(/[\t\r\n]+/g, " ");
