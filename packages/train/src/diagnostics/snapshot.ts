import { GpugradError, type Tensor } from "@gpugrad/tensor";
import type { NamedParameters } from "../optim/groups.ts";

/** Tensors by name: a model, or a list such as `model.namedParameters()`. */
export type NamedTensors = NamedParameters | { namedParameters(): NamedParameters };

/** Values of tensors on the host, as {@link snapshot} took them. */
export type Snapshot = ReadonlyMap<string, Uint8Array>;

const listOf = (tensors: NamedTensors): (readonly [string, Tensor])[] => [
  ...("namedParameters" in tensors ? tensors.namedParameters() : tensors),
];

/** Copies tensors to the host, all as they are now: work that is recorded while the copies come doesn't change them. */
export async function snapshot(tensors: NamedTensors): Promise<Snapshot> {
  const copies = listOf(tensors).map(async ([name, tensor]) => [name, await tensor.bytes()] as const);
  return new Map(await Promise.all(copies));
}

/**
 * Gives the tensors the values they had at the {@link snapshot}: in place, or on the device that `init()` made after theirs was lost. They
 * stay the same objects, so a model continues working; gradients are forgotten.
 *
 * ```ts
 * const saved = await snapshot(model);
 * try {
 *   await train(model);
 * } catch (error) {
 *   if (!(error instanceof DeviceLostError)) throw error;
 *   await init();
 *   restore(model, saved);
 * }
 * ```
 * @throws before anything is changed, when the snapshot lacks a tensor
 */
export function restore(tensors: NamedTensors, saved: Snapshot): void {
  const list = listOf(tensors);
  const missing = list.filter(([name]) => !saved.has(name)).map(([name]) => name);
  if (missing.length > 0)
    throw new GpugradError(`restore: the snapshot has no ${missing.join(", ")}. Was it taken of another model?`);
  for (const [name, tensor] of list) tensor.restore(saved.get(name)!);
}
