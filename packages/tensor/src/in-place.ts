import { checked } from "./arguments.ts";
import { check } from "./errors.ts";
import { hooks } from "./recorder.ts";
import { sameShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

// Changes in place, which no tape records.

/** Copies `source` over `target` in place: same shape and dtype. */
export const copyInto = checked(
  "copyInto",
  { target: "tensor", source: "tensor" },
  (target: Tensor, source: Tensor): void => {
    check(
      sameShape(target.shape, source.shape) && target.dtype === source.dtype,
      () => `copyInto: ${source.toString()} doesn't fit ${target.toString()}.`,
    );
    refuseTape("copyInto", source);
    overwrite(target, source);
  },
);

/** {@link copyInto} for the forward of ops, where what is copied may have a tape. */
export function overwrite(target: Tensor, source: Tensor): void {
  if (source.storage === target.storage) return;
  if (source.size > 0) source.storage.device.queue.copy(source.buffer, target.buffer, source.byteLength);
  target.storage.version++;
}

/**
 * Throws where a change in place would lose a gradient: such changes are not recorded.
 * @param source what is written; it may not have a tape while calls are recorded
 */
export function refuseTape(op: string, source: Tensor): void {
  check(
    !source.requiresGrad || !hooks.recorder?.isRecording(),
    () =>
      `${op}: no gradient would flow back to ${source.toString()}, since changes in place are not recorded. ` +
      `Use detach() or noGrad() if none is wanted, else an op that makes a new tensor.`,
  );
}
