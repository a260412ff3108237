import { AutoModelForTokenClassification, type Folder, type Heads } from "@gpugrad/bert";
import { csvCell, entitiesInText, type AggregationStrategy, type TextEntity, type TokenWindow } from "@gpugrad/train";
import type { TextRow } from "./input-rows.ts";
import { loading, refuseMissing, type LoadOptions } from "./missing-weights.ts";
import { plainField, type Output } from "./text-command.ts";
import { sideBySide, type Task, type TextModel } from "./text-model.ts";
import { windowEncoding } from "./windows.ts";

/** A classifier of tokens with all its weights. @throws where some are missing, or its head is another one */
async function openTokenClassifier(folder: Folder, options: LoadOptions): Promise<Heads["tokenClassification"]> {
  const model = await AutoModelForTokenClassification.fromPretrained(folder, loading(options));
  return refuseMissing(model, options, { head: "ForTokenClassification" });
}

/** Logits of each token's classes. */
export const tokenClassification: Task<Heads["tokenClassification"]> = {
  open: openTokenClassifier,
  compute: (model, inputs) => model.forward(inputs).logits,
  perToken: true,
  join: sideBySide,
};

/** Tokens of a text, or of a window of it, as `entitiesInText` takes them. */
export const tokenWindow = (
  encoding: { input_ids: ArrayLike<number>; special_tokens_mask: ArrayLike<number>; offsets: TokenWindow["offsets"] },
  logits: Float32Array,
  classes: number,
): TokenWindow => ({
  ...{ ids: encoding.input_ids, offsets: encoding.offsets, special: encoding.special_tokens_mask },
  logits: Array.from(encoding.input_ids, (_, t) => logits.subarray(t * classes, (t + 1) * classes)),
});

/** The entities in each text, of the logits of its tokens or of those of its windows, one after the other. */
export function entityOutput(
  { tokenizer, config, maxLength, windows }: Pick<TextModel, "tokenizer" | "config" | "maxLength" | "windows">,
  { strategy, json, csv }: { strategy: AggregationStrategy; json: boolean; csv: boolean },
): Output {
  const cut = { truncation: true, maxLength, ...(windows && windowEncoding(windows)) } as const;
  const entitiesOf = (values: Float32Array, { text }: TextRow): TextEntity[] => {
    let done = 0;
    const found = tokenizer.encodeBatch([text], cut).map((encoding) => {
      const logits = values.subarray(done, (done += encoding.length * config.num_labels));
      return tokenWindow(encoding, logits, config.num_labels);
    });
    return entitiesInText(text, found, config.id2label, tokenizer, strategy);
  };
  if (json) return { line: (values, row) => JSON.stringify(entitiesOf(values, row)), bad: JSON.stringify as never };
  if (csv)
    return {
      header: "text,entities,error",
      line: (values, row) => [row.text, JSON.stringify(entitiesOf(values, row)), ""].map(csvCell).join(","),
      bad: ({ error }) => ["", "", error].map(csvCell).join(","),
    };
  const shown = ({ entity, entity_group, word, score }: TextEntity): string =>
    `${entity ?? entity_group} ${word} ${score.toFixed(4)}`;
  return {
    line: (values, row) => [entitiesOf(values, row).map(shown).join(", "), row.text].map(plainField).join("\t"),
    bad: () => "\t",
  };
}
