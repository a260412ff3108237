import type { ModelClass } from "./pretrained.ts";

/** What a model with a head is for. */
export type HeadName = "sequenceClassification" | "maskedLM";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a class takes its own family's configuration, and no other
type AnyModelClass = ModelClass<any, any>;

/** The models of one `model_type`: one without a head, and one for each task that it is made for. */
export interface Family<Model extends AnyModelClass, Heads extends Partial<Record<HeadName, AnyModelClass>>> {
  readonly modelType: string;
  readonly Config: Model["Config"];
  /** The property of its heads that holds the model without a head. */
  readonly prefix: string;
  readonly Model: Model;
  readonly heads: Heads;
}

export type AnyFamily = Family<AnyModelClass, Partial<Record<HeadName, AnyModelClass>>>;

/** Declares a family; its configuration, `model_type` and prefix are those of the model. A line in `auto.ts` makes it known. */
export function family<Model extends AnyModelClass, Heads extends Partial<Record<HeadName, AnyModelClass>>>({
  Model,
  heads,
}: Pick<Family<Model, Heads>, "Model" | "heads">): Family<Model, Heads> {
  const { Config, baseModelPrefix: prefix } = Model;
  return { modelType: Config.modelType, Config, prefix, Model, heads };
}

/** All classes of a family by the name that config.json has for them in `architectures`. */
export const architecturesOf = ({ Model, heads }: AnyFamily): [architecture: string, AnyModelClass][] =>
  [Model, ...Object.values(heads)].map((model) => [model.architecture, model]);
