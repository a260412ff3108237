import { AutoTokenizer, type Encoding, type Tokenizer, type TruncationStrategy } from "@gpugrad/bert";
import { check } from "@gpugrad/tensor";
import { progressLine, tokenizeByRanks, type Dataset, type Ranks } from "@gpugrad/train";
import { Command, Option } from "commander";
import { writeOutput } from "../output.ts";
import { inRowOrder, sharedRows } from "../ranks/share-rows.ts";
import { joinRanks } from "../ranks/session.ts";
import { runCommand } from "../run-command.ts";
import { batchesOf, textsOf, wholeNumber } from "../text/texts.ts";
import { addDataOptions, cleaned, type DataOptions } from "../train/data-options.ts";
import { openSplit } from "../train/open-data.ts";

interface Options extends DataOptions {
  tokenizer: string;
  dataset?: string;
  split?: string;
  file?: string;
  maxLength?: number;
  truncation?: true | TruncationStrategy;
  padding?: true | "longest" | "max_length";
  addSpecialTokens: boolean;
  json?: true;
}

/** A text, or two, and where it came from. */
interface Line {
  text: string;
  text_pair?: string;
}

/** Lines read before any is written; with `--padding longest`, all of them. */
const batchSize = 256;

/** `gpugrad tokenize --tokenizer DIR`: ids, types, mask and offsets per line of standard input; or a dataset's tokens, made before it is trained on. */
export function tokenize(args: string[]): Promise<number> {
  const strategies = ["longest_first", "only_first", "only_second"];
  const command = new Command("gpugrad tokenize")
    .description(
      "Tokens of texts: those given, or the lines of --file or standard input. With --dataset those of a whole split, kept where `gpugrad train` " +
        "looks for tokens that are made ahead (--train_sampling_strategy group_by_length, --dataloader_num_workers), with the same --max-length and number of ranks.",
    )
    .argument("[texts...]")
    .requiredOption("--tokenizer <folder>", "a folder or a hub id")
    .option("--file <file>", "a text per line; with --json a JSON object per line")
    .option("--max-length <n>", "tokens per text, special ones included", wholeNumber(1))
    .addOption(new Option("--truncation [strategy]", "cut what is longer").choices(strategies))
    .addOption(
      new Option("--padding [to]", "pad to the longest, or to --max-length").choices(["longest", "max_length"]),
    )
    .option("--no-add-special-tokens", "leave out [CLS] and [SEP]")
    .option("--dataset <id>", "a hub id, a folder or a file, whose tokens are kept for training")
    .option("--split <name>", "its split (default: train, or all of a file)")
    .option(
      "--json",
      'lines {"text": …, "text_pair"?: …} in, lines {"input_ids", "token_type_ids", "attention_mask", "offsets"} out',
    );
  addDataOptions(command);
  return runCommand<Options>(command, args, async (options, operands) => {
    checkGiven(command, options, operands);
    const { ranks, inTurn, done } = await joinRanks();
    const tokenizer = await inTurn(() => AutoTokenizer.fromPretrained(options.tokenizer));
    if (options.dataset !== undefined) {
      const rows = await inTurn(() => openSplit({ ...options, dataset: options.dataset! }, "train"));
      const kept = await keepTokens(cleaned(rows, options), tokenizer, ranks, options);
      if (ranks.isFirst) await writeOutput(kept);
      done();
      return 0;
    }
    const isJson = options.json === true && operands.length === 0;
    const lines = linesOf(textsOf(operands, options.file), isJson);
    const together = options.padding === true || options.padding === "longest" ? Infinity : batchSize;
    const isShared = ranks.size > 1;
    check(
      !isShared || (together === batchSize && (options.file !== undefined || operands.length > 0)),
      `tokenize: ${ranks.size} ranks can't share standard input, nor pad to the longest of all texts. Give a --file, and --padding max_length.`,
    );
    const own = isShared ? sharedRows(lines, ranks, { block: batchSize }) : lines;
    async function* written(): AsyncGenerator<string[]> {
      for await (const batch of batchesOf(own, together))
        yield encode(tokenizer, batch, options).map((row) => `${options.json ? json(row) : table(tokenizer, row)}\n`);
    }
    for await (const some of inRowOrder(ranks, written(), batchSize)) await writeOutput(some.join(""));
    done();
    return 0;
  });
}

const OF_TEXTS = ["--file", "--truncation", "--padding", "--no-add-special-tokens", "--json"];
const OF_BOTH = ["--tokenizer", "--max-length", "--dataset"];

/** @throws for texts, and options about them, beside a dataset; and for options about datasets without one */
function checkGiven(command: Command, { dataset }: Options, operands: readonly string[]): void {
  const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === "cli");
  const names = given.map(({ long }) => long!).filter((name) => !OF_BOTH.includes(name));
  const isWrong = (name: string): boolean => OF_TEXTS.includes(name) === (dataset !== undefined);
  const wrong = names.find(isWrong) ?? (dataset === undefined ? undefined : operands[0]);
  const why =
    dataset === undefined ? "a dataset, and there is no --dataset" : "texts, and --dataset about a whole split";
  check(wrong === undefined, () => `tokenize: ${wrong} is about ${why}.`);
}

/** Makes the tokens of rows, or finds them; what there is then, in words. */
async function keepTokens(rows: Dataset, tokenizer: Tokenizer, ranks: Ranks, options: Options): Promise<string> {
  const { maxLength } = options;
  const progress = ranks.isFirst ? progressLine() : undefined;
  const tokens = await tokenizeByRanks(rows, tokenizer, ranks, {
    ...(maxLength !== undefined && { maxLength }),
    onProgress: (done, total) => progress?.update(`${done} of ${total} rows`),
  });
  progress?.done();
  await tokens.close();
  const { cache, length, lengths, note } = tokens;
  check(cache !== undefined, () => `tokenize: ${note}`);
  const count = lengths.reduce((sum, own) => sum + own, 0);
  const how = cache.hit ? "found" : "made";
  return `${how} ${count} tokens of ${length} rows, at most ${tokens.maxLength} of each: ${cache.path}\n`;
}

async function* linesOf(texts: AsyncIterable<string>, isJson: boolean): AsyncGenerator<Line> {
  let number = 0;
  for await (const text of texts) {
    number++;
    yield isJson ? parse(text, number) : { text };
  }
}

function parse(line: string, number: number): Line {
  let value: Partial<Record<keyof Line, unknown>> | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch (error) {
    return check(false, `tokenize: line ${number}: not JSON: ${(error as Error).message}`) as never;
  }
  const { text, text_pair } = value ?? {};
  check(typeof text === "string", () => `tokenize: line ${number}: no "text" in ${line.slice(0, 80)}`);
  if (text_pair === undefined || text_pair === null) return { text };
  check(
    typeof text_pair === "string",
    () => `tokenize: line ${number}: "text_pair" is not a string: ${line.slice(0, 80)}`,
  );
  return { text, text_pair };
}

function encode(tokenizer: Tokenizer, lines: readonly Line[], options: Options): Encoding[] {
  const { maxLength, truncation, padding, addSpecialTokens } = options;
  return tokenizer.encodeBatch(
    lines.map(({ text }) => text),
    { maxLength, truncation, padding, addSpecialTokens, textPairs: lines.map(({ text_pair }) => text_pair) },
  );
}

const json = ({ input_ids, token_type_ids, attention_mask, offsets }: Encoding) =>
  JSON.stringify({ input_ids, token_type_ids, attention_mask, offsets });

const table = (tokenizer: Tokenizer, { input_ids }: Encoding) =>
  input_ids.map((id) => `${tokenizer.idToToken(id)} ${id}`).join("  ");
