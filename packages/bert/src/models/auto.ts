import type { Folder } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { openFolder } from "#platform";
import type { HubOptions } from "../hub/settings.ts";
import { bert } from "./bert/bert-heads.ts";
import { architecturesOf, type AnyFamily, type HeadName } from "./family.ts";
import { configOf, readConfigFile, type ConfigValues } from "./pretrained-config.ts";
import type { ConfigOf, FromPretrainedOptions, ModelClass, PreTrainedModel } from "./pretrained.ts";

/** The families that are known here. */
const families = [bert] as const;
type Known = (typeof families)[number];
type KnownModel = InstanceType<Known["Model"]>;
type KnownHead<Name extends HeadName> = InstanceType<NonNullable<Known["heads"][Name]>>;

/** The family that a config.json belongs to. Old files have no `model_type`, but an architecture that begins as the family's do. */
function familyOf(values: Record<string, unknown>, folder: string): Known {
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

const open = async (idOrFolder: string | Folder, options: HubOptions): Promise<Folder> =>
  typeof idOrFolder === "string" ? openFolder(idOrFolder, options) : idOrFolder;

export const AutoConfig = {
  /**
   * Reads `config.json` of a folder or a repository of the Hub into the class that its `model_type` names.
   *
   * @param overrides Values that come before the file's, such as `{ num_labels: 3 }`.
   * @throws {@link GpugradError} when there is no config.json, its model is not known here, or a value is impossible.
   */
  async fromPretrained(
    idOrFolder: string | Folder,
    overrides: ConfigValues<ConfigOf<KnownModel>> = {},
    options: HubOptions = {},
  ): Promise<ConfigOf<KnownModel>> {
    const folder = await open(idOrFolder, options);
    const values = await readConfigFile(folder);
    return configOf(familyOf(values, folder.name).Config, folder.name, values, overrides);
  },
};

/** Opens a checkpoint as the class that fits its `model_type` and the task. */
interface AutoClass<M extends PreTrainedModel> {
  /** @throws when the model type is not known here, or as the class's own `fromPretrained` does */
  fromPretrained(idOrFolder: string | Folder, options?: FromPretrainedOptions<ConfigOf<M>>): Promise<M>;
}

function auto<M extends PreTrainedModel>(
  name: string,
  classOf: (family: AnyFamily) => ModelClass<M> | undefined,
): AutoClass<M> {
  return {
    async fromPretrained(idOrFolder, options = {}) {
      const folder = await open(idOrFolder, options);
      const family = familyOf(await readConfigFile(folder), folder.name);
      const found = classOf(family);
      check(found, () => {
        const known = families.filter((other) => classOf(other)).map(({ modelType }) => modelType);
        return `${name}: ${folder.name} is a ${family.modelType}; known here: ${known.join(", ")}.`;
      });
      // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access -- a static method that takes its class as `this`
      return (found as any).fromPretrained(folder, options) as Promise<M>;
    },
  };
}

/** The model without a head. */
export const AutoModel = auto<KnownModel>("AutoModel", ({ Model }) => Model);

/** The model with a classifier. */
export const AutoModelForSequenceClassification = auto<KnownHead<"sequenceClassification">>(
  "AutoModelForSequenceClassification",
  ({ heads }) => heads.sequenceClassification,
);

/** The model that guesses masked words. */
export const AutoModelForMaskedLM = auto<KnownHead<"maskedLM">>("AutoModelForMaskedLM", ({ heads }) => heads.maskedLM);

/** Model classes by the name that config.json has for them in `architectures`. */
export const architectures: Readonly<Record<string, ModelClass<KnownModel | KnownHead<HeadName>>>> = Object.fromEntries(
  families.flatMap((family) => architecturesOf(family)),
);
