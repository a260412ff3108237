import type { PretrainedConfig, LoadPlan } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import { Option } from "commander";

/** How a model is opened to answer with it. */
export interface LoadOptions {
  /** What parameters are kept in; default: as the file has them. */
  dtype?: WeightDtype | undefined;
  /** Answer although weights are missing, which are then drawn at random. */
  allowMissingWeights?: boolean | undefined;
  say: (text: string) => void;
}

const dtypes = ["float32", "float16", "int8"] as const;
/** What weights are kept in, by the names of PyTorch and Transformers. */
export type WeightDtype = (typeof dtypes)[number];

/** The option of {@link LoadOptions.dtype}. */
export const dtypeOption = (): Option =>
  new Option(
    "--dtype <name>",
    "what weights are kept in; float16 and int8 are for those of linear layers, with sums in float32 (default: as the file has them)",
  ).choices(dtypes);

/** What `fromPretrained` is given for them. */
export const loading = ({ dtype, say }: LoadOptions) => ({
  ...{ dtype: dtype ? ("f32" as const) : ("auto" as const), onReport: say },
  ...(dtype === "float16" && { linearWeights: "f16" as const }),
  ...(dtype === "int8" && { linearWeights: "int8" as const }),
});

/** The option of {@link LoadOptions.allowMissingWeights}. */
export const allowMissingWeights = (): Option =>
  new Option("--allow-missing-weights", "answer although weights are missing: they are drawn at random");

/** Of a longer list, only the beginning is named. */
const LISTED = 6;

interface Loaded {
  readonly config: Pick<PretrainedConfig, "architectures">;
  readonly loadPlan?: LoadPlan | undefined;
  readonly nameOrPath?: string | undefined;
  dispose(): void;
}

/** What answers depend on. */
interface Needs {
  /** The end of the names of models that answer so: `ForSequenceClassification`. */
  head?: string;
  /** Weights that the answer doesn't depend on. */
  unused?: RegExp;
}

/**
 * The model, if all weights that its answers depend on came from its files. A head that isn't there would be drawn at random, and answer
 * all the same: that of a pretrained model before fine-tuning, or of one for another task, whose head may even have the same names.
 *
 * @throws naming what is missing, unless it is allowed to be
 */
export function refuseMissing<M extends Loaded>(
  model: M,
  { allowMissingWeights, say }: LoadOptions,
  needs: Needs = {},
): M {
  const problem = missingWeights(model, needs);
  if (problem === undefined) return model;
  if (allowMissingWeights) {
    say(`${problem} Its answers mean nothing.`);
    return model;
  }
  model.dispose();
  throw new GpugradError(
    `${problem} Fine-tune it with gpugrad train, name a model that was trained for this task, or pass ` +
      "--allow_missing_weights to draw them at random.",
  );
}

/** What of a model's weights isn't in its files, in words; undefined where all that is needed is. */
export function missingWeights({ config, loadPlan, nameOrPath }: Loaded, { head, unused }: Needs): string | undefined {
  const missing = (loadPlan?.missing ?? []).filter((key) => !unused?.test(key));
  if (missing.length > 0) {
    const more = missing.length > LISTED ? `, … ${missing.length} in all` : "";
    return `${nameOrPath}: weights are missing: ${missing.slice(0, LISTED).join(", ")}${more}.`;
  }
  const saved = config.architectures?.[0];
  if (head === undefined || saved === undefined || !/For[A-Z]\w*$/.test(saved) || saved.endsWith(head))
    return undefined;
  return `${nameOrPath}: a ${saved}, whose head is for another task: weights of a …${head} are missing.`;
}
