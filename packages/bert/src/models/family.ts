import type { ArrayInput, ModelInputs } from "./inputs.ts";
import type { BaseModelOutput, HeadOutput, OutputOptions, QuestionAnsweringOutput } from "./outputs.ts";
import type { ModelClass, PreTrainedModel } from "./pretrained.ts";

/** Labels that most heads take: see the head. */
export interface Labels {
  labels?: ArrayInput | undefined;
}

/** Where answers begin and end, as numbers of tokens [B]. */
export interface AnswerPositions {
  start_positions?: ArrayInput | undefined;
  end_positions?: ArrayInput | undefined;
}

/** A model that takes these labels and gives this output. */
export interface Forward<Labels, Output> extends PreTrainedModel {
  forward(inputs: ModelInputs & Labels, options?: OutputOptions): Output;
}

/** What a model with each kind of head computes, in any family. */
export interface Heads {
  sequenceClassification: Forward<Labels, HeadOutput>;
  tokenClassification: Forward<Labels, HeadOutput>;
  questionAnswering: Forward<AnswerPositions, QuestionAnsweringOutput>;
  multipleChoice: Forward<Labels, HeadOutput>;
  maskedLM: Forward<Labels, HeadOutput>;
  nextSentencePrediction: Forward<Labels, HeadOutput>;
  /** The task that the family was first trained on, where that is not a masked language model alone. */
  preTraining: Forward<Labels, { loss?: HeadOutput["loss"] }>;
}

/** What a model with a head is for. */
export type HeadName = keyof Heads;

/** The model without a head. */
export type BaseModel = Forward<object, BaseModelOutput>;

/** A class of models of any family. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a class takes its own family's configuration, and no other
export type AnyModelClass<M extends PreTrainedModel> = ModelClass<M, any>;
type HeadClasses = { readonly [Name in HeadName]?: AnyModelClass<Heads[Name]> };

/** The models of one `model_type`: one without a head, and one for each task that it is made for. */
export interface Family<
  Model extends AnyModelClass<BaseModel> = AnyModelClass<BaseModel>,
  Own extends HeadClasses = HeadClasses,
> {
  readonly modelType: string;
  readonly Config: Model["Config"];
  /** The property of its heads that holds the model without a head. */
  readonly prefix: string;
  readonly Model: Model;
  readonly heads: Own;
}

/** Declares a family; its configuration, `model_type` and prefix are those of the model. A line in `auto.ts` makes it known. */
export function family<Model extends AnyModelClass<BaseModel>, Own extends HeadClasses>({
  Model,
  heads,
}: Pick<Family<Model, Own>, "Model" | "heads">): Family<Model, Own> {
  const { Config, baseModelPrefix: prefix } = Model;
  return { modelType: Config.modelType, Config, prefix, Model, heads };
}

/** All classes of a family by the name that config.json has for them in `architectures`. */
export const architecturesOf = ({ Model, heads }: Family): [architecture: string, AnyModelClass<PreTrainedModel>][] =>
  [Model, ...Object.values(heads)].map((model) => [model.architecture, model]);
