import { GpugradError } from "@gpugrad/tensor";
import { openFolder } from "#platform";
import { AutoConfig } from "./config.ts";
import type { Folder } from "@gpugrad/nn";
import { BertModel } from "./bert/bert.ts";
import { BertForMaskedLM, BertForSequenceClassification } from "./bert/bert-heads.ts";
import type { FromPretrainedOptions, ModelClass, PreTrainedModel } from "./pretrained.ts";

/** Opens a checkpoint as the class that fits its `model_type` and the task. */
interface AutoClass<M extends PreTrainedModel> {
  /** @throws when the model type is not known here, or as the class's own `fromPretrained` does */
  fromPretrained(idOrFolder: string | Folder, options?: FromPretrainedOptions): Promise<M>;
}

/** One class per `model_type` for each task. A new member of the family takes a line in each table. */
function auto<M extends PreTrainedModel>(task: string, classes: Record<string, ModelClass<M>>): AutoClass<M> {
  return {
    async fromPretrained(idOrFolder, options = {}) {
      const folder = typeof idOrFolder === "string" ? await openFolder(idOrFolder, options) : idOrFolder;
      const { model_type } = await AutoConfig.fromPretrained(folder, options.config);
      const found = classes[model_type];
      if (!found) {
        throw new GpugradError(
          `${task}: ${folder.name} is a ${model_type}; known here: ${Object.keys(classes).join(", ")}.`,
        );
      }
      // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access -- a static method that takes its class as `this`
      return (found as any).fromPretrained(folder, options) as Promise<M>;
    },
  };
}

/** The model without a head. */
export const AutoModel = auto("AutoModel", { bert: BertModel });

/** The model with a classifier. */
export const AutoModelForSequenceClassification = auto("AutoModelForSequenceClassification", {
  bert: BertForSequenceClassification,
});

/** The model that guesses masked words. */
export const AutoModelForMaskedLM = auto("AutoModelForMaskedLM", { bert: BertForMaskedLM });

/** Model classes by the name that stands in config.json's `architectures`. */
export const architectures: Readonly<
  Record<string, ModelClass<BertModel | BertForSequenceClassification | BertForMaskedLM>>
> = {
  [BertModel.architecture]: BertModel,
  [BertForSequenceClassification.architecture]: BertForSequenceClassification,
  [BertForMaskedLM.architecture]: BertForMaskedLM,
};
