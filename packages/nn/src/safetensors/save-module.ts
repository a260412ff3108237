import {
  argumentCheck,
  cast,
  check,
  copyInto,
  fromBytes,
  scope,
  showValue,
  type DType,
  type Tensor,
} from "@gpugrad/tensor";
import type { ByteSource } from "../files/folder.ts";
import { Module } from "../module.ts";
import { matchState, type LoadResult } from "../state.ts";
import { toFloat32, toInt32 } from "./convert.ts";
import type { SafetensorsDtype } from "./dtypes.ts";
import { SafetensorsFile, type TensorBytes } from "./file.ts";
import { writeSafetensors } from "./write.ts";

/** The floats that files and the device both know. */
const deviceDtypes: Partial<Record<SafetensorsDtype, "f32" | "f16" | "bf16">> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
};
const fileDtypes: Partial<Record<DType, SafetensorsDtype>> = { f32: "F32", f16: "F16", bf16: "BF16" };

const checkSave = argumentCheck("saveModule", { module: "object", path: "string", metadata: "object?" });
const checkLoad = argumentCheck("loadModule", { module: "object", from: "any", options: { strict: "boolean?" } });

const checkModule = (owner: string, module: unknown, order: string): void =>
  check(
    module instanceof Module,
    () => `${owner}: module is ${showValue(module)}, not a Module. Call ${owner}${order}.`,
  );

/** The dtype that a tensor of a file has on the device; undefined for those that are not 16 or 32-bit floats. */
export const deviceDtype = (dtype: SafetensorsDtype): "f32" | "f16" | "bf16" | undefined => deviceDtypes[dtype];

/**
 * Writes a module's parameters to a safetensors file (in Node): whole, or not at all. A tied parameter is written once, under the first
 * of its keys.
 */
export function saveModule(module: Module, path: string, metadata?: Record<string, string>): Promise<void> {
  checkModule("saveModule", module, "(module, path)");
  checkSave([module, path, metadata]);
  const tensors = Array.from(module.namedParameters(), ([name, parameter]) => {
    const dtype = fileDtypes[parameter.dtype];
    check(dtype, () => `saveModule: ${name} is ${parameter.dtype}; parameters are f32, f16 or bf16.`);
    return { name, dtype, shape: parameter.shape, bytes: () => parameter.bytes() };
  });
  return writeSafetensors(path, tensors, metadata);
}

/**
 * Reads a module's parameters from a safetensors file, one tensor at a time: a path (in Node), bytes, a Blob or a `ByteSource`.
 *
 * @param options.strict whether a key that is missing, or of no parameter, is an error (true unless said otherwise)
 * @throws {@link GpugradError} naming such keys, and parameters of another shape; no parameter is changed then
 */
export async function loadModule(
  module: Module,
  from: string | Blob | ArrayBuffer | Uint8Array | ByteSource,
  options: { strict?: boolean } = {},
): Promise<LoadResult> {
  checkModule("loadModule", module, "(module, from)");
  checkLoad([module, from, options]);
  const file = await SafetensorsFile.open(from);
  try {
    const shapes = new Map(file.keys().map((key) => [key, file.info(key)]));
    const owner = `loadModule: ${file.name}: ${module.constructor.name}`;
    const { found, ...result } = matchState(owner, [...module.namedTensors()], shapes, options.strict ?? true);
    for (const [key, parameter] of found) writeParameter(parameter, await file.read(key));
    return result;
  } finally {
    await file.close();
  }
}

/** Writes a file's tensor into a parameter of its shape, converted where the dtypes differ. */
export function writeParameter(parameter: Tensor, { dtype, bytes, shape }: TensorBytes): void {
  if (deviceDtypes[dtype] === parameter.dtype) parameter.writeBytes(bytes);
  else if (parameter.dtype === "f32")
    parameter.write(/64$/.test(dtype) && dtype !== "F64" ? toInt32(dtype, bytes) : toFloat32(dtype, bytes));
  else
    scope(() => {
      const widened = fromBytes(new Uint8Array(toFloat32(dtype, bytes).buffer), shape, "f32");
      copyInto(parameter, cast(widened, parameter.dtype));
    });
}
