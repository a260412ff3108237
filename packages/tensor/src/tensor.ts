import { argumentCheck, checked } from "./arguments.ts";
import { numerics } from "./debug.ts";
import { decode, deviceBytes, encode, isHalf, type DType, type TypedArray } from "./dtype.ts";
import { check, GpugradError } from "./errors.ts";
import { format } from "./format.ts";
import { device } from "./runtime/device.ts";
import type { PooledBuffer } from "./runtime/pool.ts";
import { enterScope, leaveScope } from "./scope.ts";
import { sameShape, showShape, sizeOf, type Shape } from "./shape.ts";
import { provenance } from "./provenance.ts";
import { memory, Storage } from "./storage.ts";
import { hooks, type GradNode } from "./recorder.ts";
import { showValue } from "./values.ts";

/** Nested arrays of numbers or booleans: `[[1, 2], [3, 4]]`. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Typed arrays of numbers. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array;

/**
 * A contiguous, row-major array of numbers on the device. Its ops are methods (see `methods.ts`) and functions alike:
 * `x.matmul(w)` is `matmul(x, w)`. Work is recorded at once and runs soon; only {@link data} and {@link item} wait for it.
 */
export class Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The op that made it. */
  readonly op: string;
  /** Whether gradients flow to it: set it on parameters; results inherit it. */
  requiresGrad = false;
  /** The gradient that `backward()` added up here; null before. */
  grad: Tensor | null = null;
  /** Where the tape goes on from here. Belongs to autograd. */
  gradNode: GradNode | null = null;
  #storage: Storage | null;

  /** Takes over one reference to `storage`. Made by ops and factories; users call `tensor()`, `zeros()` and so on. */
  constructor(storage: Storage, shape: Shape, dtype: DType) {
    this.#storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.op = provenance.op;
    enterScope(this);
    unreachable.register(this, storage, this);
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
          `If a scope() ended, return the tensor from it or keep() it.`,
      );
    }
    return this.#storage;
  }

  get buffer(): PooledBuffer {
    return this.storage.buffer;
  }

  /** Marks it as a leaf that gradients flow to, such as a parameter. */
  requireGrad(): this {
    this.requiresGrad = true;
    return this;
  }

  /** Another tensor over the same memory, in a shape of the same size. Not recorded by autograd: see `reshape`. */
  alias(shape: Shape = this.shape): Tensor {
    return new Tensor(this.storage.retain(), shape, this.dtype);
  }

  /** Gives the memory back, unless another tensor shares it. The tensor can't be used afterwards. */
  dispose(): void {
    if (!this.#storage) {
      throw new GpugradError(`a tensor ${showShape(this.shape)} made by ${this.op} is disposed a second time.`);
    }
    leaveScope(this);
    unreachable.unregister(this);
    this.#storage.release();
    this.#storage = null;
    this.grad?.dispose();
    this.grad = null;
    if (this.gradNode) hooks.recorder?.released(this.gradNode);
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

  /** Overwrites device bytes in place, from `offset` (a multiple of 4) on. */
  writeBytes(bytes: Uint8Array, offset = 0): void {
    checkWriteBytes([bytes, offset]);
    check(
      offset % 4 === 0 && offset + bytes.byteLength <= this.byteLength,
      () =>
        `writeBytes: ${bytes.byteLength} bytes at ${offset} don't fit the ${this.byteLength} of ${this.toString()}.`,
    );
    this.storage.device.queue.upload(this.buffer, bytes, offset);
    this.storage.version++;
  }

  /**
   * Puts back what `bytes()` gave: in place, or in new memory if the device that the tensor lived on is gone. For parameters, after
   * `init()` has replaced a lost device: the object stays the same, so that a model which holds it goes on working. The gradient is forgotten.
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
    const fresh = fromBytes(bytes, this.shape, this.dtype);
    this.#storage = fresh.storage.retain();
    fresh.dispose();
    unreachable.unregister(this);
    unreachable.register(this, this.#storage, this);
    if (this.gradNode) hooks.recorder?.released(this.gradNode);
    this.gradNode = null;
    old.release();
  }

  /** Overwrites the elements in place, from the host. A tape that saved the old ones will refuse to go on. */
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
export const empty = checked(
  "empty",
  { shape: "shape", dtype: "dtype?" },
  (shape: Shape, dtype: DType = "f32"): Tensor =>
    new Tensor(new Storage(deviceBytes(dtype, sizeOf(shape))), shape, dtype),
);

/** A tensor from a flat array of elements. */
export const fromArray = checked(
  "fromArray",
  { values: "values", shape: "shape", dtype: "dtype?" },
  (values: ArrayLike<number | boolean>, shape: Shape, dtype: DType = "f32"): Tensor => {
    check(
      values.length === sizeOf(shape),
      () => `fromArray: ${values.length} values don't fill the shape ${showShape(shape)} (${sizeOf(shape)} elements).`,
    );
    return new Tensor(new Storage(encode(dtype, values, "fromArray")), shape, dtype);
  },
);

/** A tensor from device words, as `encode` lays them out: for weights that come in their own dtype. */
export const fromBytes = checked(
  "fromBytes",
  { bytes: "bytes", shape: "shape", dtype: "dtype" },
  (bytes: Uint8Array, shape: Shape, dtype: DType): Tensor => {
    const expected = sizeOf(shape) * (isHalf(dtype) ? 2 : 4);
    check(
      bytes.byteLength === expected,
      () => `fromBytes: ${bytes.byteLength} bytes don't fill ${showShape(shape)} of ${dtype} (${expected} bytes).`,
    );
    return new Tensor(new Storage(bytes), shape, dtype);
  },
);

/**
 * A tensor from nested arrays: `tensor([[1, 2], [3, 4]])`; typed arrays serve as well. f32 unless `dtype` says otherwise; booleans make
 * `bool`, an Int32Array i32 and a Uint32Array u32.
 * @throws when the arrays are ragged, or an element is not a number or doesn't fit the dtype
 */
export const tensor = checked(
  "tensor",
  { values: "any", dtype: "dtype?" },
  (values: NestedArray | NumberArray | readonly NumberArray[], dtype?: DType): Tensor => {
    const shape: number[] = [];
    for (let level: unknown = values; isList(level); level = level[0]) {
      shape.push(level.length);
      if (level.length === 0) break;
    }
    const flat: (number | boolean)[] = [];
    const walk = (level: unknown, depth: number, path: string): void => {
      if (isList(level)) {
        check(
          depth < shape.length && level.length === shape[depth],
          () =>
            `tensor: ragged arrays: ${path || "the outermost"} has ${level.length} entries, the first of its kind ${shape[depth] ?? "none"}.`,
        );
        for (let i = 0; i < level.length; i++) walk(level[i], depth + 1, `${path}[${i}]`);
        return;
      }
      check(
        ["number", "boolean", "bigint"].includes(typeof level),
        () => `tensor: ${path || "the value"} is ${showValue(level)}, not a number.`,
      );
      check(
        depth === shape.length,
        () => `tensor: ragged arrays: there is a number at ${path}, where an array was expected.`,
      );
      flat.push(level as number | boolean);
    };
    walk(values, 0, "");
    const type = dtype ?? dtypeOf(values, flat);
    return new Tensor(new Storage(encode(type, flat, "tensor")), shape, type);
  },
);

const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/** The dtype of elements for which none is given. */
function dtypeOf(values: unknown, flat: readonly unknown[]): DType {
  if (values instanceof Int32Array) return "i32";
  if (values instanceof Uint32Array) return "u32";
  return typeof flat[0] === "boolean" ? "bool" : "f32";
}

/** Copies `source` over `target` in place: same shape and dtype. */
export const copyInto = checked(
  "copyInto",
  { target: "tensor", source: "tensor" },
  (target: Tensor, source: Tensor) => {
    check(
      sameShape(target.shape, source.shape) && target.dtype === source.dtype,
      () => `copyInto: ${source.toString()} doesn't fit ${target.toString()}.`,
    );
    if (source.storage === target.storage) return;
    if (source.size > 0) source.storage.device.queue.copy(source.buffer, target.buffer, source.byteLength);
    target.storage.version++;
  },
);
