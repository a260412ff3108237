import { cast, check, fromArray, reshape, Tensor, zeros, type NestedArray } from "@gpugrad/tensor";
import { sizesOf, type PretrainedConfig } from "./pretrained-config.ts";

/** Ids, masks or labels: nested arrays, a flat typed array with its shape, or a tensor that is on the device already. */
export type ArrayInput = Tensor | NestedArray | { data: ArrayLike<number>; shape: readonly number[] };

/** What a model takes, in Hugging Face's names; all but `labels` are [B, T] of whole numbers. */
export interface ModelInputs {
  input_ids: ArrayInput;
  /** 1 where there is a token, 0 where there is padding. Left out: no padding. */
  attention_mask?: ArrayInput | undefined;
  /** 0 in the first text of a pair, 1 in the second. Left out: 0. */
  token_type_ids?: ArrayInput | undefined;
}

/** An input on the device, and its values where the host knows them. */
export interface DeviceInput {
  tensor: Tensor;
  values: ArrayLike<number> | undefined;
}

/** Puts `input` on the device as `dtype`. */
export function toDevice(name: string, input: ArrayInput, dtype: "i32" | "f32"): DeviceInput {
  if (input instanceof Tensor) {
    check(
      (dtype === "f32") === (input.dtype === "f32"),
      () => `${name}: a tensor of ${input.dtype}, where ${dtype} is expected.`,
    );
    return { tensor: input, values: undefined };
  }
  const { data, shape } = arrayOf(name, input);
  return { tensor: fromArray(data, shape, dtype), values: data };
}

/** The numbers of an input on the host, in one row, with their shape. @throws when rows differ in length */
export const arrayOf = (name: string, input: Exclude<ArrayInput, Tensor>): Exclude<ArrayInput, Tensor | NestedArray> =>
  typeof input === "object" && "data" in input ? input : flatten(name, input);

function flatten(name: string, nested: NestedArray): { data: number[]; shape: number[] } {
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level); level = (level as NestedArray[])[0]!) shape.push(level.length);
  const data = (Array.isArray(nested) ? (nested.flat(Infinity) as (number | boolean)[]) : [nested]).map(Number);
  check(
    data.length === shape.reduce((a, b) => a * b, 1),
    () => `${name}: rows of different lengths. Pad them (the tokenizer's padding does), and mask the padding.`,
  );
  return { data, shape };
}

/** What an encoder computes with. */
export interface PreparedInputs {
  ids: Tensor; // i32 [B, T]
  /** i32 [B, T]; all 0 for a model without token types. */
  types: Tensor;
  /** bool [B, 1, 1, T], true where there is a token; undefined where there is no padding. */
  mask: Tensor | undefined;
}

/**
 * Puts a model's inputs on the device, and checks them as far as the host knows them.
 *
 * @throws {@link GpugradError} when ids, types or the length are beyond what the config allows, or shapes differ
 */
export function prepareInputs(
  { input_ids, attention_mask, token_type_ids }: ModelInputs,
  config: PretrainedConfig,
): PreparedInputs {
  const { maxLength: most } = config;
  const { tensor: ids, values } = toDevice("input_ids", input_ids, "i32");
  check(
    ids.rank === 2,
    () => `input_ids: shape [${ids.shape.join(",")}], but [B, T] is expected: one row of ids per text.`,
  );
  const [B, T] = ids.shape as [number, number];
  check(T <= most, () => `input_ids: ${T} tokens, but the model has ${most} positions. Truncate to ${most}.`);
  const types = token_type_ids === undefined ? undefined : toDevice("token_type_ids", token_type_ids, "i32");
  checkInputs(config, { ids: values, types: types?.values });
  const mask = attention_mask === undefined ? undefined : maskToDevice(attention_mask, [B, T]);
  return { ids, types: types?.tensor ?? zeros([B, T], { dtype: "i32" }), mask };
}

function maskToDevice(attention_mask: ArrayInput, [B, T]: [number, number]): Tensor | undefined {
  const { tensor, values } = toDevice("attention_mask", attention_mask, "i32");
  check(
    tensor.size === B * T,
    () => `attention_mask: shape [${tensor.shape.join(",")}], but input_ids is [${B},${T}].`,
  );
  if (!values) return reshape(tensor.dtype === "bool" ? tensor : cast(tensor, "bool"), [B, 1, 1, T]);
  // Without padding there is nothing to mask, and attention is faster.
  if (Array.prototype.every.call(values, (v) => v === 1)) return undefined;
  return fromArray(values, [B, 1, 1, T], "bool");
}

/**
 * Checks inputs while their values are on the host.
 * @throws when an id, a token type or a class is beyond what the config allows
 */
export function checkInputs(
  config: PretrainedConfig,
  { ids, types, classes }: Partial<Record<"ids" | "types" | "classes", ArrayLike<number> | undefined>>,
): void {
  const { vocab_size, type_vocab_size } = sizesOf(config);
  const bad = ids && outOfRange(ids, vocab_size);
  check(
    !bad,
    () => `input_ids: ${bad}, but the vocabulary has ${vocab_size} entries. Is it another model's tokenizer?`,
  );
  const badType = types && type_vocab_size !== 0 && outOfRange(types, type_vocab_size); // a model without types ignores them
  check(!badType, () => `token_type_ids: ${badType}, but the model has ${type_vocab_size} types.`);
  const badClass = classes && outOfRange(classes, config.num_labels, -100);
  check(
    !badClass,
    () => `labels: ${badClass}, but the model has ${config.num_labels} labels. Set num_labels when loading it.`,
  );
}

/** Whether labels are whole numbers: class numbers rather than targets. */
export function areClasses(labels: ArrayInput): boolean {
  if (labels instanceof Tensor) return labels.dtype !== "f32";
  if (typeof labels === "object" && "data" in labels)
    return !(labels.data instanceof Float32Array || labels.data instanceof Float64Array);
  return [labels].flat(Infinity as 1).every((v) => Number.isInteger(Number(v)));
}

/** The first value outside of 0 … count − 1 that isn't `ignored`, in words; undefined when all are inside. */
function outOfRange(values: ArrayLike<number>, count = Infinity, ignored?: number): string | undefined {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= 0 && value < count) && value !== ignored) return `${value} at index ${i}`;
  }
  return undefined;
}
