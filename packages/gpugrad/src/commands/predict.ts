import { type Heads, type PretrainedConfig, type Tokenizer } from "@gpugrad/bert";
import {
  AGGREGATION_STRATEGIES,
  csvCell,
  SCORE_FUNCTIONS,
  scoresOf,
  type AggregationStrategy,
  type ScoreFunction,
} from "@gpugrad/train";
import { GpugradError } from "@gpugrad/tensor";
import { Command, InvalidArgumentError, Option } from "commander";
import { isFinite } from "../text/finite.ts";
import { plainField, textCommand, type Output } from "../text/text-command.ts";
import { entityOutput, openTokenClassifier } from "../text/entity-output.ts";
import { openClassifier } from "../text/text-model.ts";
import { wholeNumber } from "../text/texts.ts";
import { architectureOf } from "../train/kinds.ts";
import { addWindowOptions, type WindowFlags } from "../text/windows.ts";

interface Options extends WindowFlags {
  topK?: number;
  functionToApply: ScoreFunction;
  aggregationStrategy: AggregationStrategy;
  json?: true;
  csv?: true;
}

/** `gpugrad predict MODEL [text…]`: the label of each text. */
export function predict(args: string[]): Promise<number> {
  const command = new Command("gpugrad predict")
    .description(
      "Labels texts, or with a model that tags words finds the entities in them: texts given, the rows of --file, or the lines of standard input. Prints a line for each, in their order: label, " +
        "score and text, with tabs between them. A row that can't be read is reported on standard error; its line has empty fields, or " +
        "with --json and --csv the error; the other rows are processed, and the exit code is 1. The same holds where the model's numbers are NaN or " +
        "infinite: label and score are then empty, with --json null.",
    )
    .option("--top-k <n>", "the best n classes of each text, or all", topK)
    .addOption(
      new Option("--function-to-apply <name>", "what turns logits into scores (default: by the model's task)")
        .choices(SCORE_FUNCTIONS)
        .default("default"),
    )
    .addOption(
      new Option("--aggregation-strategy <name>", "how a tagger's tokens become entities")
        .choices(AGGREGATION_STRATEGIES)
        .default("simple"),
    )
    .option("--json", 'a line {"label", "score", "logits"} per text; with --top-k [{"label", "score"}, …]')
    .addOption(
      new Option("--csv", "columns text, label, score, error; with --top-k label_1, score_1, …").conflicts("json"),
    );
  addWindowOptions(command);
  let tokenizer: Tokenizer | undefined;
  return textCommand(command, args, {
    /** By the head that the model was saved with. */
    async open(folder, options): Promise<Heads["sequenceClassification"]> {
      const ofTokens = (await architectureOf(folder))?.endsWith("ForTokenClassification") === true;
      return ofTokens ? openTokenClassifier(folder, options) : openClassifier(folder, options);
    },
    compute: (model, inputs) => model.forward(inputs).logits,
    texts(_model, own) {
      tokenizer = own;
      return {};
    },
    output(options: Options, config, maxLength) {
      if (!config.architectures?.[0]?.endsWith("ForTokenClassification")) return output(options, config);
      if (options.stride !== undefined)
        throw new GpugradError(
          "predict: --stride is for models that classify texts; this one tags words. Split long texts.",
        );
      const { aggregationStrategy: strategy, json = false, csv = false } = options;
      return entityOutput(tokenizer!, config, { strategy, maxLength, json, csv });
    },
  });
}

/** A number of classes; infinite for all. */
function topK(text: string): number {
  if (text === "all") return Infinity;
  try {
    return wholeNumber(1)(text);
  } catch {
    throw new InvalidArgumentError("It has to be a whole number of at least 1, or all.");
  }
}

function output({ topK, functionToApply, json, csv }: Options, config: PretrainedConfig): Output {
  /** The best classes, without names where there is nothing to compare. */
  const best = (logits: Float32Array): { label: string | null; score: number | null }[] => {
    const scores = scoresOf(logits, config, functionToApply).slice(0, topK ?? 1);
    return isFinite(logits) ? scores : scores.map(() => ({ label: null, score: null }));
  };
  const count = Math.min(topK ?? 1, Object.keys(config.id2label).length);
  if (json)
    return {
      line(logits) {
        const scores = best(logits);
        return JSON.stringify(topK === undefined ? { ...scores[0], logits: Array.from(logits) } : scores);
      },
      bad: JSON.stringify,
    };
  if (csv) {
    const numbers = Array.from({ length: count }, (_, i) => `_${i + 1}`);
    const columns = topK === undefined ? ["label", "score"] : numbers.flatMap((n) => [`label${n}`, `score${n}`]);
    const record = (fields: (string | number)[]): string => fields.map(csvCell).join(",");
    return {
      header: record(["text", ...columns, "error"]),
      line: (logits, { text }) =>
        record([text, ...best(logits).flatMap(({ label, score }) => [label ?? "", score ?? ""]), ""]),
      bad: ({ error }) => record(["", ...columns.map(() => ""), error]),
    };
  }
  return {
    line(logits, { text }) {
      const fields = best(logits).flatMap(({ label, score }) => [label ?? "", score?.toFixed(4) ?? ""]);
      return [...fields, text].map(plainField).join("\t");
    },
    bad: () => "\t".repeat(2 * count),
  };
}
