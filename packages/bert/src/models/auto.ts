import type { Folder } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { overBase } from "../adapters/base-folder.ts";
import { wholeKeys } from "../adapters/lora-files.ts";
import { PeftModel } from "../adapters/peft-model.ts";
import { openByName, type HubOptions } from "../opener.ts";
import { albert } from "./albert/albert-heads.ts";
import { bert } from "./bert/bert-heads.ts";
import { camembert } from "./camembert/camembert.ts";
import { deberta } from "./deberta/deberta-heads.ts";
import { debertaV2 } from "./deberta-v2/deberta-v2-heads.ts";
import { distilbert } from "./distilbert/distilbert-heads.ts";
import { electra } from "./electra/electra-heads.ts";
import { modernbert } from "./modernbert/modernbert-heads.ts";
import { mpnet } from "./mpnet/mpnet-heads.ts";
import { roberta } from "./roberta/roberta-heads.ts";
import { xlmRoberta } from "./xlm-roberta/xlm-roberta.ts";
import { architecturesOf, type AnyModelClass, type BaseModel, type Family, type Heads } from "./family.ts";
import {
  configOf,
  readConfigFile,
  type CommonSizes,
  type ConfigClass,
  type ConfigValues,
  type PretrainedConfig,
} from "./pretrained-config.ts";
import { PreTrainedModel, type FromPretrainedOptions, type ModelClass } from "./pretrained.ts";

/** Values of a configuration of any family. */
type AnyConfigValues = ConfigValues<PretrainedConfig> & CommonSizes & Record<string, unknown>;
type AutoOptions = Omit<FromPretrainedOptions, "config"> & {
  /** Values that come before those of config.json, such as `{ num_labels: 3 }`. */
  config?: AnyConfigValues;
};

/** The families that are known here. */
const families: readonly Family[] = [
  bert,
  distilbert,
  roberta,
  xlmRoberta,
  camembert,
  electra,
  albert,
  mpnet,
  modernbert,
  debertaV2,
  deberta,
];

/** The family that a config.json belongs to. Old files have no `model_type`, but an architecture that begins as the family's do. */
function familyOf(values: Record<string, unknown>, folder: string): Family {
  const [architecture] = [values["architectures"]].flat();
  const isBegun = (prefix: string) => typeof architecture === "string" && architecture.startsWith(prefix);
  const modelType = values["model_type"];
  const found = families.find(({ modelType: known, Model }) =>
    modelType === undefined ? isBegun(Model.architecture.replace(/Model$/, "")) : modelType === known,
  );
  check(
    found,
    () =>
      `${folder}: model_type is ${JSON.stringify(modelType ?? "unknown")}. Known here: ` +
      `${families.map((family) => family.modelType).join(", ")}.`,
  );
  return found;
}

export const AutoConfig = {
  /**
   * Reads `config.json` of a folder or a repository of the Hub into the class that its `model_type` names.
   *
   * @param overrides Values that come before the file's, such as `{ num_labels: 3 }`.
   * @throws {@link GpugradError} when there is no config.json, its model is not known here, or a value is impossible.
   */
  async fromPretrained(
    idOrFolder: string | Folder,
    overrides: AnyConfigValues = {},
    options: HubOptions = {},
  ): Promise<PretrainedConfig & CommonSizes> {
    const folder = await openByName(idOrFolder, options);
    const values = await readConfigFile(folder, options);
    const Config = familyOf(values, folder.name).Config as ConfigClass<PretrainedConfig>;
    return configOf(Config, folder.name, values, overrides);
  },
};

/** Opens a checkpoint as the class that fits its `model_type` and the task. */
interface AutoClass<M extends PreTrainedModel> {
  /** A model with fresh weights. @throws when the model type is not known here, or has no such head */
  fromConfig(config: PretrainedConfig): M;
  /**
   * The folder of an adapter gives the model that it was trained on, with the adapter merged into the weights.
   * @throws when the model type is not known here, or as the class's own `fromPretrained` does
   */
  fromPretrained(idOrFolder: string | Folder, options?: AutoOptions): Promise<M>;
}

function auto<M extends PreTrainedModel>(
  name: string,
  classOf: (family: Family) => AnyModelClass<M> | undefined,
): AutoClass<M> {
  const headOf = (family: Family, of: string): AnyModelClass<M> => {
    const found = classOf(family);
    check(found, () => {
      const known = families.filter((other) => classOf(other)).map(({ modelType }) => modelType);
      return `${name}: ${of} is a ${family.modelType}; known here: ${known.join(", ")}.`;
    });
    return found;
  };
  return {
    fromConfig(config) {
      const values = { model_type: config.model_type };
      return PreTrainedModel.fromConfig.call(headOf(familyOf(values, name), "the configuration"), config) as M;
    },
    async fromPretrained(idOrFolder, options = {}) {
      const folder = await openByName(idOrFolder, options);
      const over = await overBase(folder, options);
      const family = familyOf(await readConfigFile(over ?? folder), folder.name);
      const open = (from: Folder, more?: Pick<FromPretrainedOptions, "given">): Promise<M> =>
        PreTrainedModel.fromPretrained.call(headOf(family, folder.name), from, { ...options, ...more }) as Promise<M>;
      if (!over) return open(folder);
      const model = await open(over, { given: await wholeKeys(folder) });
      return (await PeftModel.fromPretrained(model, folder)).mergeAndUnload();
    },
  };
}

/** The model without a head. */
export const AutoModel = auto<BaseModel>("AutoModel", ({ Model }) => Model);

/** The model that classifies whole texts. */
export const AutoModelForSequenceClassification = auto<Heads["sequenceClassification"]>(
  "AutoModelForSequenceClassification",
  ({ heads }) => heads.sequenceClassification,
);
/** The model that classifies tokens. */
export const AutoModelForTokenClassification = auto<Heads["tokenClassification"]>(
  "AutoModelForTokenClassification",
  ({ heads }) => heads.tokenClassification,
);
/** The model that finds answers in a text. */
export const AutoModelForQuestionAnswering = auto<Heads["questionAnswering"]>(
  "AutoModelForQuestionAnswering",
  ({ heads }) => heads.questionAnswering,
);
/** The model that chooses one of several continuations. */
export const AutoModelForMultipleChoice = auto<Heads["multipleChoice"]>(
  "AutoModelForMultipleChoice",
  ({ heads }) => heads.multipleChoice,
);
/** The model that guesses masked words. */
export const AutoModelForMaskedLM = auto<Heads["maskedLM"]>("AutoModelForMaskedLM", ({ heads }) => heads.maskedLM);
/** The model that predicts whether one text follows another. */
export const AutoModelForNextSentencePrediction = auto<Heads["nextSentencePrediction"]>(
  "AutoModelForNextSentencePrediction",
  ({ heads }) => heads.nextSentencePrediction,
);
/** The model as the family was first trained; one that guesses masked words where that was all. */
export const AutoModelForPreTraining = auto<Heads["preTraining"]>(
  "AutoModelForPreTraining",
  ({ heads }) => heads.preTraining ?? heads.maskedLM,
);

/** Model classes by the name that config.json has for them in `architectures`. */
export const architectures: Readonly<Record<string, ModelClass<PreTrainedModel>>> = Object.fromEntries(
  families.flatMap((family) => architecturesOf(family)),
);
