import { openFolder } from "@gpugrad/bert";
import { destroy, GpugradError, init } from "@gpugrad/tensor";
import { Command, Option } from "commander";
import { writeError, writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { normalized, sentenceEmbeddings } from "../text/embedder.ts";
import { isFinite } from "../text/finite.ts";
import { inputRows, LINE_FORMATS, type InputOptions, type TextRow } from "../text/input-rows.ts";
import { allowMissingWeights } from "../text/missing-weights.ts";
import { indexKey, nearest, readIndex, writeIndex, type Vectors } from "../text/search-index.ts";
import { plainField } from "../text/text-command.ts";
import { openTextModel, type TextModel } from "../text/text-model.ts";
import { runTexts } from "../text/text-stream.ts";
import { wholeNumber } from "../text/texts.ts";

interface Options extends Omit<InputOptions, "file"> {
  model: string;
  topK: number;
  index?: string;
  batchSize: number;
  maxLength?: number;
  allowMissingWeights?: true;
  json?: true;
}

/** A text, and which row of its file it is. */
type NumberedRow = TextRow & { row: number };

/** `gpugrad search FILE "query"`: the texts of a file that are closest to another. */
export function search(args: string[]): Promise<number> {
  const command = new Command("gpugrad search")
    .description(
      "The texts of a file whose embeddings have the greatest cosine with that of a query. They are embedded once, into an index file beside " +
        "the file, and again when the file or the model has changed. Prints a line for each text: its score and the text, with a tab between them.",
    )
    .argument("<file>", "a text per line, or .jsonl, .csv, .tsv (each also .gz), .json, .parquet")
    .argument("<query>", "what to look for")
    .option("--model <id>", "a folder or a hub id", "sentence-transformers/all-MiniLM-L6-v2")
    .option("--top-k <n>", "the best n texts", wholeNumber(1), 5)
    .option("--index <file>", "where the embeddings are kept (default: the file's name and .index.safetensors)")
    .addOption(new Option("--format <name>", "what lines hold (default: by the file's name)").choices(LINE_FORMATS))
    .option("--text-column <name>", "the column that holds the texts (default: found by its usual names)")
    .option("--batch-size <n>", "texts at a time", wholeNumber(1), 16)
    .option(
      "--max-length <n>",
      "tokens per text; longer ones are cut (default: as the model's files say)",
      wholeNumber(1),
    ) // prettier-ignore
    .option("--json", 'a line {"score", "row", "text"} per text; rows count from 0')
    .addOption(allowMissingWeights())
    .allowExcessArguments(false);
  return runCommand<Options>(command, args, async (options, [file, query]) => {
    const { maxLength, format, textColumn, topK, index = `${file}.index.safetensors` } = options;
    const say = (text: string): void => writeError(`${command.name()}: ${text}\n`);
    const input = { file: file!, ...(format && { format }), ...(textColumn !== undefined && { textColumn }) };
    const key = await indexKey(await openFolder(options.model), file!, { format, textColumn, maxLength });
    const known = await readIndex(index, key);
    const rows: NumberedRow[] = [];
    let bad = 0;
    for await (const row of inputRows(input)) {
      if ("text" in row) rows.push({ ...row, row: rows.length + bad });
      else {
        bad++;
        say(row.error);
      }
    }
    if (rows.length === 0) throw new GpugradError(`${file}: no texts to search.`);
    await init();
    try {
      const model = await openTextModel(options.model, sentenceEmbeddings(), {
        ...{ maxLength, allowMissingWeights: options.allowMissingWeights, say },
      });
      const vectors = known ?? (await vectorsOf(model, rows, options.batchSize));
      if (!known) {
        await writeIndex(index, key, vectors);
        say(`embedded ${rows.length} texts into ${index}.`);
      }
      const [wanted] = await model.compute(await model.encode([{ text: query! }]));
      if (!isFinite(wanted!)) throw new GpugradError(`${options.model}: its vectors are NaN or infinite.`);
      for (const { row, score } of nearest(vectors, normalized(wanted!), topK)) {
        const found = rows[row]!;
        const hit = { score, row: found.row, text: found.text };
        await writeOutput(options.json ? `${JSON.stringify(hit)}\n` : `${score.toFixed(4)}\t${plainField(found.text)}\n`); // prettier-ignore
      }
      return bad > 0 ? 1 : 0;
    } finally {
      await destroy();
    }
  });
}

/** The vectors of all texts, scaled to length 1. */
async function vectorsOf(model: TextModel, rows: readonly NumberedRow[], batchSize: number): Promise<Vectors> {
  async function* all(): AsyncGenerator<TextRow> {
    yield* rows;
  }
  let vectors: Vectors | undefined;
  let row = 0;
  for await (const results of runTexts(model, all(), { batchSize })) {
    for (const { values } of results) {
      const own = normalized(values!);
      vectors ??= { data: new Float32Array(rows.length * own.length), width: own.length };
      vectors.data.set(own, row++ * own.length);
    }
  }
  return vectors!;
}
