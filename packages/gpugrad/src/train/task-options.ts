import { SENTENCE_LOSSES } from "@gpugrad/train";
import { Option, type Command } from "commander";
import { InvalidArgumentError } from "commander";
import { wholeNumber } from "../text/texts.ts";

const share = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("It has to lie between 0 and 1.");
  return value;
};

const probability = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("It has to lie from 0 to 1.");
  return value;
};

const number = (text: string): number => {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError("It has to be a number.");
  return value;
};

/** Adds the options of questions and answers. */
export function addAnswerOptions(command: Command): Command {
  return command
    .option(
      "--stride, --doc-stride <n>",
      "tokens that the windows over a long context share (default: 128)",
      wholeNumber(0),
    )
    .option("--version-2-with-negative", "questions may have no answer (default: if one of the data has none)")
    .option("--n-best-size <n>", "starts and ends that are paired (default: 20)", wholeNumber(1))
    .option("--max-answer-length <n>", "tokens of an answer at most (default: 30)", wholeNumber(1))
    .option("--null-score-diff-threshold <x>", "no answer has to score more than this above one (default: 0)", number);
}

/** Adds the options of tasks beside the classification of texts. */
export function addTaskOptions(command: Command): Command {
  command.optionsGroup("Tags, answers, masked words, pairs and embeddings:");
  return addAnswerOptions(command)
    .option("--label-all-tokens", "all tokens of a word are to have its tag, not only the first")
    .option("--mlm-probability <p>", "how likely a token is hidden (default: 0.15)", share)
    .option("--whole-word-mask", "hide whole words")
    .option(
      "--short-seq-probability <p>",
      "how likely a document's pairs are shorter than they could be (default: 0.1)",
      probability,
    )
    .addOption(new Option("--line-by-line", "a row for each text, in place of texts packed into rows of --max_length"))
    .addOption(
      new Option("--loss <name>", "of sentence embeddings (default: what the columns are for)").choices(
        Object.keys(SENTENCE_LOSSES),
      ),
    );
}
