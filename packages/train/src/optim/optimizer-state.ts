import {
  GpugradError,
  reshape,
  sameShape,
  scope,
  showShape,
  sizeOf,
  slice,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";

/** A state tensor, to be read now or never: as `Tensor` is one, and whatever reads from a file can be. */
export interface StateTensor {
  readonly shape: Shape;
  /** Its f32, little-endian, row-major. */
  bytes(): Promise<Uint8Array>;
}

/** All that an optimizer is, but its options: what `stateDict()` gives and `loadStateDict()` takes. Without `tensors` it is plain JSON. */
export interface OptimizerState {
  readonly steps: number;
  /** In the optimizer's order, each with the steps that it has taken. */
  readonly parameters: readonly { readonly name: string; readonly steps: number }[];
  /** `exp_avg.<parameter>` and so on, in PyTorch's names; and `clock`, if the device has a say in which steps are taken. */
  readonly tensors: ReadonlyMap<string, StateTensor>;
}

/**
 * Compares a state with what an optimizer keeps: its parameters by name, and its state tensors.
 * @throws at the first difference
 */
export function checkSameState(
  owner: string,
  { parameters, tensors }: OptimizerState,
  names: readonly string[],
  own: readonly { key: string; shape: Shape }[],
): void {
  const refuse = (difference: string): never => {
    const hint = "Make the optimizer as the one that was saved, over the same parameters in the same order.";
    throw new GpugradError(`${owner}.loadStateDict: ${difference}. ${hint}`);
  };
  for (let i = 0; i < Math.max(parameters.length, names.length); i++) {
    const [here, there] = [names[i], parameters[i]?.name];
    if (here !== there) refuse(`parameter ${i} is ${here ?? "none"} here, and ${there ?? "none"} in the state`);
  }
  for (const { key, shape } of own) {
    const given = tensors.get(key)?.shape;
    if (!given && key !== "clock") refuse(`${key} ${showShape(shape)} is not in the state`);
    if (given && !sameShape(given, shape))
      refuse(`${key} is ${showShape(shape)} here, and ${showShape(given)} in the state`);
  }
  const known = new Set(own.map(({ key }) => key));
  for (const key of tensors.keys()) if (!known.has(key)) refuse(`the state has ${key}, which is not kept here`);
}

/** A piece of a tensor. */
export interface Piece {
  readonly tensor: Tensor;
  readonly shape: Shape;
  readonly at: number;
}

/** The piece as a tensor: the same memory if it is all there is, else a copy. */
export function tensorAt({ tensor, shape, at }: Piece): Tensor {
  const size = sizeOf(shape);
  return tensor.size === size && at === 0
    ? tensor.alias(shape)
    : scope(() => reshape(slice(tensor, [[at, at + size]]), shape));
}

export async function bytesOf(key: string, tensors: OptimizerState["tensors"], shape: Shape): Promise<Uint8Array> {
  const bytes = await tensors.get(key)!.bytes();
  if (bytes.byteLength === 4 * sizeOf(shape)) return bytes;
  throw new GpugradError(
    `loadStateDict: ${key} has ${bytes.byteLength} bytes; ${showShape(shape)} in f32 takes ${4 * sizeOf(shape)}.`,
  );
}
