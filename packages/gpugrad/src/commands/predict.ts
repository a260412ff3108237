import { openFolder } from "@gpugrad/bert";
import {
  AGGREGATION_STRATEGIES,
  csvCell,
  SCORE_FUNCTIONS,
  scoresOf,
  type AggregationStrategy,
  type LabelConfig,
  type ScoreFunction,
} from "@gpugrad/train";
import { GpugradError } from "@gpugrad/tensor";
import { Command, InvalidArgumentError, Option } from "commander";
import { multipleChoice } from "../text/choices.ts";
import { entityOutput, tokenClassification } from "../text/entity-output.ts";
import { isFinite } from "../text/finite.ts";
import type { TextRow } from "../text/input-rows.ts";
import { plainField, textCommand, type Output, type TextTask } from "../text/text-command.ts";
import { sequenceClassification } from "../text/text-model.ts";
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
      "Labels texts, or with a model that tags words finds the entities in them: texts given, the rows of --file, or the lines of standard input. A model that was trained on " +
        "multiple choice takes a text and its choices, or the rows of --file, and its labels are the choices. Prints a line for each, in their order: label, " +
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
  return textCommand(command, args, async (id) => {
    const architecture = await architectureOf(await openFolder(id));
    return TASKS.find(([head]) => architecture?.endsWith(head))?.[1] ?? CLASSES;
  });
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a task opens models of its own kind, and nobody else looks at them
type PredictTask = TextTask<any, Options>;

const CLASSES: PredictTask = {
  ...sequenceClassification,
  output: (options, { config }) => output(options, () => config, Object.keys(config.id2label).length),
};

/** What to predict by the head that a model was saved with; texts are classified by any other. */
const TASKS: readonly (readonly [head: string, task: PredictTask])[] = [
  [
    "ForTokenClassification",
    {
      ...tokenClassification,
      partsOf: ({ text }) => [{ text }],
      output: ({ aggregationStrategy: strategy, json = false, csv = false }, model) =>
        entityOutput(model, { strategy, json, csv }),
    },
  ],
  [
    "ForMultipleChoice",
    {
      ...multipleChoice,
      hasChoices: true,
      output(options, { windows }) {
        if (windows) throw new GpugradError("predict: --stride is not for multiple choice: a text and a choice are cut where they are too long."); // prettier-ignore
        if (options.csv && options.topK === Infinity) throw new GpugradError("predict: --csv with --top-k all: rows may have different numbers of choices. Give a number."); // prettier-ignore
        const classes = (choices: readonly string[] = []): LabelConfig => ({
          ...{
            num_labels: choices.length,
            problem_type: "single_label_classification",
            id2label: Object.fromEntries(choices.entries()),
          },
        });
        return output(options, (row) => classes(row.choices), Infinity);
      },
    },
  ],
];

/** A number of classes; infinite for all. */
function topK(text: string): number {
  if (text === "all") return Infinity;
  try {
    return wholeNumber(1)(text);
  } catch {
    throw new InvalidArgumentError("It has to be a whole number of at least 1, or all.");
  }
}

/** @param classesOf what the logits of a row are for @param classes how many there are at most */
function output(
  { topK, functionToApply, json, csv }: Options,
  classesOf: (row: TextRow) => LabelConfig,
  classes: number,
): Output {
  /** The best classes, without names where there is nothing to compare. */
  const best = (logits: Float32Array, row: TextRow): { label: string | null; score: number | null }[] => {
    const scores = scoresOf(logits, classesOf(row), functionToApply).slice(0, topK ?? 1);
    return isFinite(logits) ? scores : scores.map(() => ({ label: null, score: null }));
  };
  const count = Math.min(topK ?? 1, classes);
  if (json)
    return {
      line(logits, row) {
        const scores = best(logits, row);
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
      line(logits, row) {
        const fields = best(logits, row).flatMap(({ label, score }) => [label ?? "", score ?? ""]);
        return record([row.text, ...fields, ...columns.slice(fields.length).map(() => ""), ""]);
      },
      bad: ({ error }) => record(["", ...columns.map(() => ""), error]),
    };
  }
  return {
    line(logits, row) {
      const fields = best(logits, row).flatMap(({ label, score }) => [label ?? "", score?.toFixed(4) ?? ""]);
      return [...fields, row.text].map(plainField).join("\t");
    },
    bad: () => "\t".repeat(2 * (count === Infinity ? 1 : count)),
  };
}
