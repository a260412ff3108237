import type { Tensor } from "@gpugrad/tensor";
import { checkedParameters } from "./check.ts";

/** Parameters by name, as `model.namedParameters()` gives them. */
export type NamedParameters = Iterable<readonly [name: string, parameter: Tensor]>;

/** Parameters with options of their own. */
export interface ParamGroup<Options> {
  params: NamedParameters;
  options?: Partial<Options>;
}

/** What every optimizer has: a learning rate, and a decay of the weights. */
export interface OptimizerOptions {
  /** A group's own rate stays to the optimizer's in the ratio that the two have at first, as under PyTorch's `LambdaLR`. */
  lr: number;
  weightDecay: number;
  /** The same said as a factor: a group's rate is the optimizer's times this (1). */
  lrScale?: number;
}

/** Groups as they are; mere parameters are one group. */
export function groupsOf<Options>(
  owner: string,
  params: NamedParameters | readonly ParamGroup<Options>[],
): readonly ParamGroup<Options>[] {
  const isGroup = (entry: unknown): boolean => typeof entry === "object" && entry !== null && "params" in entry;
  const isList = Array.isArray(params) && params.length > 0 && params.every(isGroup);
  return isList ? (params as readonly ParamGroup<Options>[]) : [{ params: checkedParameters(owner, params) }];
}

/** Names that Hugging Face's Trainer does not decay: biases, and the weights of layer norms. */
const NO_DECAY = /(^|\.)bias$|LayerNorm|layer_norm|layernorm/;

/**
 * Groups as Hugging Face's Trainer makes them: weight decay on all but biases and layer norms; embeddings do decay. Groups that are
 * there already (`layerwiseLrDecay`) become two each.
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/trainer.py (get_decay_parameter_names)
 */
export function noDecayGroups<Options extends OptimizerOptions = OptimizerOptions>(
  params: NamedParameters | readonly ParamGroup<Options>[],
): ParamGroup<Options>[] {
  return groupsOf("noDecayGroups", params)
    .flatMap(({ params, options = {} }): ParamGroup<Options>[] => {
      const all = checkedParameters("noDecayGroups", params);
      return [
        { params: all.filter(([name]) => !NO_DECAY.test(name)), options },
        {
          params: all.filter(([name]) => NO_DECAY.test(name)),
          options: { ...options, weightDecay: 0 } as Partial<Options>,
        },
      ];
    })
    .filter(({ params }) => [...params].length > 0);
}
