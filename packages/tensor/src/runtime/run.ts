import { check, GpugradError } from "../errors.ts";
import type { DeviceArray } from "../storage.ts";
import { isTensor, showValue } from "../values.ts";
import { device } from "./init.ts";
import type { Kernel, Params } from "./kernel.ts";
import { isImage } from "./image.ts";
import type { Bound, Image } from "./pool.ts";

/** How much to start, in one of two ways, and the values of the kernel's `override`s. */
export type Launch = { overrides?: Record<string, number> } & (
  | { /** Invocations in all; rounded up to whole workgroups. */ threads: number }
  | { workgroups: number | readonly [number, number, number?] }
);

const NONE = {};
const MAX_WORKGROUPS = 65535; // per dimension, by WebGPU's default limits

/** The most workgroups of a one-dimensional launch that isn't folded. Tests lower it: then small launches are folded, too. */
export const folding = { most: MAX_WORKGROUPS };

/**
 * Records one dispatch: tensors, and images of them, by the names of the kernel's bindings, `struct Params` by its fields.
 *
 * A one-dimensional launch of more than 65,535 workgroups is folded into two dimensions, here and nowhere else. Kernels that
 * may be started so count themselves as `id.x + id.y * workgroups.x * size`, and return when that is beyond their last element.
 */
export function run(
  kernel: Kernel,
  tensors: Record<string, DeviceArray | Image>,
  params: Params,
  launch: Launch,
): void {
  const current = device();
  const { queue, pipelines } = current;
  const buffers: Bound[] = [];
  for (const { kind, name, element } of kernel.bindings) {
    if (kind === "uniform") continue;
    const value = tensors[name];
    if (kind === "image") {
      check(isImage(value), () => `${kernel.file}: binding ${name} is given ${showValue(value)}, not an image.`);
      buffers.push(value);
      continue;
    }
    const tensor = value as DeviceArray | undefined;
    check(isTensor(tensor), () =>
      tensor === undefined
        ? `${kernel.file}: no tensor given for binding ${name}.`
        : `${kernel.file}: binding ${name} is given ${showValue(tensor)}, not a tensor.`,
    );
    check(
      tensor.storage.device === current,
      () => `${kernel.file}: ${name} is ${tensor.toString()} of a device that was destroyed. Make it again.`,
    );
    check(
      element === undefined || element === "u32" || element === tensor.dtype,
      () =>
        `${kernel.file}: ${name} is given ${tensor.toString()}, but the kernel reads array<${element}>. Use to("${element}"); ` +
        `array<u32> takes the bits of any dtype.`,
    );
    buffers.push(tensor.buffer);
  }
  const given = Object.keys(tensors);
  check(given.length === buffers.length, () => {
    const names = kernel.bindings.filter(({ kind }) => kind !== "uniform").map(({ name }) => name);
    const unknown = given.filter((name) => !names.includes(name));
    return `${kernel.file}: there is no binding ${unknown.join(", ")}; there are ${names.join(", ")}.`;
  });
  for (const at of kernel.written) {
    const other = buffers.findIndex((buffer, i) => i !== at && buffer === buffers[at]);
    if (other < 0) continue;
    const [name, sharer] = [at, other].map((i) => kernel.bindings.filter(({ kind }) => kind !== "uniform")[i]!.name);
    throw new GpugradError(
      `${kernel.file}: ${name} is written, so it can't share the memory of ${sharer}. Pass a clone().`,
    );
  }
  checkLaunch(kernel, launch);
  const pipeline = pipelines.get(kernel, launch.overrides ?? NONE);
  let groups: readonly [number, number, number];
  if ("threads" in launch) {
    groups = fold(Math.ceil(launch.threads / pipeline.workgroupSize));
  } else if (typeof launch.workgroups === "number") {
    groups = fold(launch.workgroups);
  } else {
    const [x, y, z = 1] = launch.workgroups;
    check(
      Math.max(x, y, z) <= MAX_WORKGROUPS,
      () => `${kernel.file}: ${x} × ${y} × ${z} workgroups; at most ${MAX_WORKGROUPS} each.`,
    );
    groups = [x, y, z];
  }
  if (groups[0] * groups[1] * groups[2] === 0) return; // nothing to compute: a tensor of size zero
  queue.dispatch(kernel, pipeline, buffers, params, groups);
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;

/** @throws unless it says how much to start, once, in whole numbers */
function checkLaunch({ file }: Kernel, launch: unknown): void {
  const { threads, workgroups } = (typeof launch === "object" && launch !== null ? launch : {}) as Record<
    string,
    unknown
  >;
  const fits =
    threads === undefined
      ? isCount(workgroups) || (Array.isArray(workgroups) && workgroups.length > 1 && workgroups.every(isCount))
      : workgroups === undefined && isCount(threads);
  check(
    fits,
    () =>
      `${file}: the launch is ${showValue(launch)}${threads === undefined ? "" : ` with threads ${showValue(threads)}`}. ` +
      "It is { threads: n }, or { workgroups: n } or [x, y, z].",
  );
}

function fold(workgroups: number): [number, number, number] {
  if (workgroups <= folding.most) return [workgroups, 1, 1];
  const rows = Math.min(Math.ceil(workgroups / folding.most), MAX_WORKGROUPS);
  return [Math.ceil(workgroups / rows), rows, 1];
}
