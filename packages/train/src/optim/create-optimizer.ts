import type { PreTrainedModel } from "@gpugrad/bert";
import type { TrainingArguments } from "../arguments/training-arguments.ts";
import { Adafactor } from "./adafactor.ts";
import { AdamW } from "./adamw.ts";
import { layerwiseLrDecay } from "./layers.ts";
import { noDecayGroups, type NamedParameters, type OptimizerOptions, type ParamGroup } from "./groups.ts";
import type { Optimizer } from "./optimizer.ts";
import { SGD } from "./sgd.ts";

/** The optimizer that the arguments ask for, over a model's parameters in the groups that they ask for. */
export function createOptimizer(model: PreTrainedModel, args: TrainingArguments): Optimizer {
  const { learningRate: lr, weightDecay, adamBeta1, adamBeta2, adamEpsilon: eps, layerwiseLrDecay: decay } = args;
  const named = [...model.namedParameters()];
  const layers: NamedParameters | ParamGroup<OptimizerOptions>[] =
    decay < 1 ? layerwiseLrDecay(named, { decay }) : named;
  const groups = args.noDecayGroups ? noDecayGroups(layers) : layers;
  if (args.optim === "sgd") return new SGD(groups, { lr, weightDecay });
  if (args.optim === "adafactor")
    return new Adafactor(groups, { lr, weightDecay, scaleParameter: false, relativeStep: false });
  return new AdamW(groups, { lr, weightDecay, eps, betas: [adamBeta1, adamBeta2] });
}
