import { argumentCheck } from "./arguments.ts";
import { numerics } from "./debug.ts";
import { decode, deviceBytes, encode, isFloat, isHalf, type DType, type TypedArray } from "./dtype.ts";
import { check, GpugradError } from "./errors.ts";
import { format } from "./format.ts";
import { hooks, type BackwardOptions } from "./recorder.ts";
import { device } from "./runtime/init.ts";
import { kernel } from "./runtime/kernel.ts";
import type { PooledBuffer } from "./runtime/pool.ts";
import { INPUTS_BEFORE } from "./runtime/queue.ts";
import { run } from "./runtime/run.ts";
import { enterScope, leaveScope } from "./scope.ts";
import { showShape, sizeOf, type Shape } from "./shape.ts";
import { provenance } from "./provenance.ts";
import { memory, Storage, type DeviceArray } from "./storage.ts";
import { showValue } from "./values.ts";
import writeBitsCode from "./write-bits.wgsl";

/** Nested arrays of numbers or booleans: `[[1, 2], [3, 4]]`. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** A step of the tape, as tensors see it: something that autograd hangs on a result. */
export interface GradNode {
  readonly op: string;
  /** The tensor that it made was disposed. */
  release(): void;
}

/**
 * A contiguous, row-major array of numbers on the device. Its ops are methods (see `methods.ts`) and functions alike:
 * `x.matmul(w)` is `matmul(x, w)`. Work is recorded at once and runs soon; only {@link data} and {@link item} wait for it.
 */
export class Tensor implements DeviceArray {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The op that made it. */
  readonly op: string;
  /** The gradient that `backward()` added up here; null before. */
  grad: Tensor | null = null;
  /** The step of the tape that made it. Belongs to autograd. */
  gradNode: GradNode | null = null;
  #storage: Storage | null;
  #requiresGrad = false;
  #disposal = "";

  /** Takes over one reference to `storage`. Made by ops and factories; users call `tensor()`, `zeros()` and so on. */
  constructor(storage: Storage, shape: Shape, dtype: DType) {
    check(storage instanceof Storage, "Tensor: tensors are made by tensor([1, 2]), zeros([2, 3]) and their like.");
    this.#storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.op = provenance.op;
    enterScope(this);
    unreachable.register(this, storage, this);
  }

  /** Whether gradients flow to it: set it on parameters; results inherit it. @throws when set on whole numbers, which have no gradient */
  get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  set requiresGrad(value: boolean) {
    this.#require("requiresGrad", value);
  }

  #require(owner: string, value: boolean): void {
    check(typeof value === "boolean", () => `${owner}: ${showValue(value)} is not true or false.`);
    check(
      !value || isFloat(this.dtype),
      () => `${owner}: ${this.toString()} has no gradient: only floats have one (f32, f16, bf16). Use to("f32").`,
    );
    this.#requiresGrad = value;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Bytes of the elements on the device. */
  get byteLength(): number {
    return deviceBytes(this.dtype, this.size);
  }

  get disposed(): boolean {
    return this.#storage === null;
  }

  get storage(): Storage {
    if (!this.#storage) {
      throw new GpugradError(
        `a tensor ${showShape(this.shape)} made by ${this.op} is used after it was disposed. ` +
          `If a scope() ended, return the tensor from it or keep() it.${this.#disposal}`,
      );
    }
    return this.#storage;
  }

  get buffer(): PooledBuffer {
    return this.storage.buffer;
  }

  /** Marks it as a leaf that gradients flow to, such as a parameter; `requireGrad(false)` freezes it. @throws as {@link requiresGrad} */
  requireGrad(value = true): this {
    this.#require("requireGrad", value);
    return this;
  }

  /** Another tensor over the same memory, in a shape of the same size. Not recorded by autograd: see `reshape`. */
  alias(shape: Shape = this.shape): Tensor {
    return new Tensor(this.storage.retain(), shape, this.dtype);
  }

  /** The same memory without the tape: no gradient goes back through it. */
  detach(): Tensor {
    return this.alias();
  }

  /**
   * Adds d this / d leaf to the `.grad` of every leaf behind it: see `backward` of @gpugrad/autograd.
   * @throws when @gpugrad/autograd was not imported
   */
  backward(...args: [options?: BackwardOptions]): void {
    checkBackward(args);
    if (!hooks.recorder)
      throw new GpugradError('backward: nothing was recorded. Import "@gpugrad/autograd" before computing.');
    hooks.recorder.backward(this, args[0] ?? {});
  }

  /**
   * Gives the memory back, unless another tensor shares it. The tensor can't be used afterwards.
   * @param how more about it, for the error if it is used nevertheless
   */
  dispose(how = ""): void {
    if (!this.#storage) {
      throw new GpugradError(`a tensor ${showShape(this.shape)} made by ${this.op} is disposed a second time.`);
    }
    leaveScope(this);
    unreachable.unregister(this);
    this.#disposal = how;
    this.#storage.release();
    this.#storage = null;
    this.grad?.[Symbol.dispose](); // a scope that ends may have disposed it before
    this.grad = null;
    this.gradNode?.release();
    this.gradNode = null;
  }

  [Symbol.dispose](): void {
    if (!this.disposed) this.dispose();
  }

  /** The elements, row-major, after all work recorded so far. f16 and bf16 come widened to f32, bool as bytes. */
  async data(): Promise<TypedArray> {
    const { device, buffer } = this.storage;
    const words = await device.read(buffer, this.byteLength);
    if (numerics.enabled) await numerics.report();
    return decode(this.dtype, words, this.size);
  }

  /** The value of a tensor with one element. */
  async item(): Promise<number> {
    check(
      this.size === 1,
      () => `item: the tensor has ${this.size} elements (${showShape(this.shape)}); data() gives them all.`,
    );
    return (await this.data())[0]!;
  }

  /** The elements as nested arrays; booleans for `bool`. */
  async toArray(): Promise<NestedArray> {
    const flat: ArrayLike<number | boolean> =
      this.dtype === "bool" ? Array.from(await this.data(), (v) => v !== 0) : await this.data();
    return nest(flat, this.shape);
  }

  /** The elements in the usual layout of brackets, long dimensions shortened. */
  async format(): Promise<string> {
    return format(await this.data(), this.shape, this.dtype);
  }

  /** The elements as they lie on the device: little-endian, 16-bit ones packed. */
  async bytes(): Promise<Uint8Array> {
    const { device, buffer } = this.storage;
    const bytes = new Uint8Array(await device.read(buffer, this.byteLength));
    return isHalf(this.dtype) ? bytes.subarray(0, 2 * this.size) : bytes;
  }

  /** Overwrites device bytes in place, from `offset` on: whole elements, and nothing beside them. */
  writeBytes(bytes: Uint8Array, offset = 0): void {
    checkWriteBytes([bytes, offset]);
    const element = isHalf(this.dtype) ? 2 : 4;
    const [end, size] = [offset + bytes.byteLength, element * this.size];
    check(
      offset >= 0 && offset % element === 0 && bytes.byteLength % element === 0 && end <= size,
      () =>
        `writeBytes: ${bytes.byteLength} bytes at ${offset} don't fit the ${size} of ${this.toString()}, in elements of ${element}.`,
    );
    const { queue } = this.storage.device;
    queue.refuseInRecording("data is uploaded", INPUTS_BEFORE);
    if (bytes.byteLength === size) this.buffer.suspects = undefined;
    // Elements of 16 bits share their words: where only one of a word is given, the other stays.
    const [first, last] = [Math.ceil(offset / 4) * 4, Math.floor(end / 4) * 4];
    if (first > offset && bytes.byteLength > 0) this.#writeHalf(offset, bytes, 0);
    if (last > first) queue.upload(this.buffer, bytes.subarray(first - offset, last - offset), first);
    if (end > last && last >= offset) this.#writeHalf(last, bytes, last - offset);
    this.storage.version++;
  }

  /** Writes the two bytes from `at` on to the element at byte `offset`. */
  #writeHalf(offset: number, bytes: Uint8Array, at: number): void {
    const half = bytes[at]! | (bytes[at + 1]! << 8);
    const upper = offset % 4 !== 0;
    const params = {
      word: Math.floor(offset / 4),
      keep: upper ? 0xffff : 0xffff0000,
      bits: (half << (upper ? 16 : 0)) >>> 0,
    };
    run(writeBitsKernel, { x: this }, params, { workgroups: 1 });
  }

  /**
   * Puts back what `bytes()` gave: in place, or in new memory if the device that the tensor lived on is gone. For parameters, after
   * `init()` has replaced a lost device: the object stays the same, so that a model which holds it keeps working. The gradient is dropped.
   */
  restore(bytes: Uint8Array): void {
    checkRestore([bytes]);
    const old = this.storage;
    const size = isHalf(this.dtype) ? 2 * this.size : this.byteLength;
    check(bytes.byteLength === size, () => `restore: ${bytes.byteLength} bytes for the ${size} of ${this.toString()}.`);
    device().throwIfFailed();
    this.grad?.dispose();
    this.grad = null;
    if (old.device === device()) return this.writeBytes(bytes);
    this.#storage = new Storage(bytes);
    unreachable.unregister(this);
    unreachable.register(this, this.#storage, this);
    this.gradNode?.release();
    this.gradNode = null;
    old.release();
  }

  /** Overwrites the elements in place, from the host. A tape that saved the old ones will refuse to continue. */
  write(values: ArrayLike<number | boolean>): void {
    checkWrite([values]);
    check(
      values.length === this.size,
      () => `write: ${values.length} values for ${this.size} elements (${showShape(this.shape)}).`,
    );
    this.storage.device.queue.upload(this.buffer, encode(this.dtype, values, "write"));
    this.buffer.suspects = undefined;
    this.storage.version++;
  }

  toString(): string {
    const state = this.disposed ? ", disposed" : this.requiresGrad ? ", requiresGrad" : "";
    return `Tensor(${showShape(this.shape)} ${this.dtype}, ${this.op}${state})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** JavaScript's operators know no tensors: `x + 1` would be text, and `x * 2` NaN. `${x}` is text that is wanted. */
Object.defineProperty(Tensor.prototype, Symbol.toPrimitive, {
  value(this: Tensor, hint: string) {
    if (hint === "string") return this.toString();
    throw new GpugradError(
      `JavaScript's operators don't compute with tensors (${this.toString()}): write add(x, y), x.mul(2), x.lt(y); in a text, \${x}.`,
    );
  },
});

const writeBitsKernel = kernel("write-bits.wgsl", writeBitsCode);

const checkBackward = argumentCheck("backward", {
  options: { gradient: "tensor?", retainGraph: "boolean?", onGradient: "function?" },
});
const checkWrite = argumentCheck("write", { values: "values" });
const checkWriteBytes = argumentCheck("writeBytes", { bytes: "bytes", offset: "number?" });
const checkRestore = argumentCheck("restore", { bytes: "bytes" });

/** A net under programs that forget to dispose: memory of a collected tensor goes back to the pool, and is counted. */
const unreachable = new FinalizationRegistry<Storage>((storage) => {
  if (!storage.release() || storage.device.gone) return;
  leaks.count++;
  leaks.lastOp = storage.op;
});

/** Memory that the garbage collector gave back, since nobody had disposed its tensors. */
export const leaks = { count: 0, lastOp: "" };

/**
 * How many buffers nobody has disposed, those that the garbage collector gave back included. For tests: what is the same before and after
 * has leaked nothing, whenever the collector comes by.
 */
export const undisposed = (): number => memory().storages + leaks.count;

function nest(flat: ArrayLike<number | boolean>, shape: Shape, at = 0): NestedArray {
  const [n, ...rest] = shape;
  if (n === undefined) return flat[at]!;
  const step = sizeOf(rest);
  return Array.from({ length: n }, (_, i) => nest(flat, rest, at + i * step));
}

/** A tensor whose elements are still to be written, by the kernel that the caller is about to run. */
export function empty(shape: Shape, dtype: DType = "f32"): Tensor {
  return new Tensor(new Storage(deviceBytes(dtype, sizeOf(shape))), shape, dtype);
}
