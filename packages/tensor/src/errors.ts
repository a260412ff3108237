/** Every error that gpugrad throws on purpose. The message says what failed, the values, and a way out. */
export class GpugradError extends Error {
  override name = "GpugradError";
}

/** A kernel that the driver would not take: names the file, the line and the source. */
export class ShaderError extends GpugradError {
  override name = "ShaderError";
}

/** The device can't continue: lost, out of memory, or asked for something invalid. */
export class DeviceError extends GpugradError {
  override name = "DeviceError";
}

/**
 * The device is gone, with all that lived on it: a driver was reset, a cable pulled. `init()` makes another, `Tensor.restore()` gives
 * tensors their values back.
 */
export class DeviceLostError extends DeviceError {
  override name = "DeviceLostError";
}

/** There is no room for what is to be computed: the message says what uses the memory. Smaller work may fit. */
export class OutOfMemoryError extends DeviceError {
  override name = "OutOfMemoryError";
  /** Bytes that may be allocated in all, as far as that is known; undefined where a single tensor is too large to be bound. */
  readonly available: number | undefined;

  constructor(message: string, { available, ...options }: ErrorOptions & { available?: number | undefined } = {}) {
    super(message, options);
    this.available = available;
  }
}

/** Throws a {@link GpugradError} with `message` unless `condition` holds. */
export function check(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new GpugradError(typeof message === "string" ? message : message());
}

/** `error` of something that the function `owner` called, as one that begins with `owner`: the name that the user wrote. */
export const blamed = (owner: string, error: unknown): unknown =>
  error instanceof GpugradError && error.constructor === GpugradError && !error.message.startsWith(`${owner}:`)
    ? new GpugradError(`${owner}: ${error.message}`, { cause: error })
    : error;
