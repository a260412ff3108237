import {
  AutoModelForTokenClassification,
  type Folder,
  type Heads,
  type PretrainedConfig,
  type Tokenizer,
} from "@gpugrad/bert";
import { csvCell, entitiesInText, type AggregationStrategy, type TextEntity } from "@gpugrad/train";
import type { TextRow } from "./input-rows.ts";
import { refuseMissing, type LoadOptions } from "./missing-weights.ts";
import { plainField, type Output } from "./text-command.ts";

/** A classifier of tokens with all its weights. @throws where some are missing, or its head is another one */
export async function openTokenClassifier(folder: Folder, options: LoadOptions): Promise<Heads["tokenClassification"]> {
  const model = await AutoModelForTokenClassification.fromPretrained(folder, {
    ...{ dtype: options.dtype ?? "auto", onReport: options.say },
  });
  return refuseMissing(model, options, { head: "ForTokenClassification" });
}

/** The entities in each text, of the logits of its tokens. */
export function entityOutput(
  tokenizer: Tokenizer,
  config: PretrainedConfig,
  { strategy, maxLength, json, csv }: { strategy: AggregationStrategy; maxLength: number; json: boolean; csv: boolean },
): Output {
  const L = config.num_labels;
  const entitiesOf = (values: Float32Array, { text }: TextRow): TextEntity[] => {
    const encoding = tokenizer.encode(text, { truncation: true, maxLength });
    const padding = tokenizer.paddingSide === "left" ? values.length / L - encoding.length : 0;
    const logits = encoding.input_ids.map((_, t) => values.subarray((padding + t) * L, (padding + t + 1) * L));
    const window = {
      ids: encoding.input_ids,
      offsets: encoding.offsets,
      special: encoding.special_tokens_mask,
      logits,
    };
    return entitiesInText(text, [window], config.id2label, tokenizer, strategy);
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
