import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SafetensorsFile, toFloat32, toInt32 } from "@gpugrad/bert";
import { fromArray, type DType, type Tensor } from "@gpugrad/tensor";
import type { Values } from "./tolerance.ts";

/** A golden tensor: what safetensors holds of it. */
export interface GoldenTensor extends Values {
  readonly data: Float32Array | Int32Array | Uint8Array;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Tensors by name; `undefined` where the file has no such tensor. */
export type Golden = (name: string) => Promise<GoldenTensor | undefined>;

/** Runs `work` with the tensors of a file. */
export async function withTensors<T>(path: string, work: (golden: Golden, keys: string[]) => Promise<T>): Promise<T> {
  const file = await SafetensorsFile.open(path);
  try {
    return await work(async (name) => {
      if (!file.has(name)) return undefined;
      const { dtype, shape, bytes } = await file.read(name);
      if (dtype === "BOOL") return { data: bytes, shape, dtype: "bool" };
      if (/^[IU]/.test(dtype)) return { data: toInt32(dtype, bytes), shape, dtype: "i32" };
      return { data: toFloat32(dtype, bytes), shape, dtype: "f32" };
    }, file.keys());
  } finally {
    await file.close();
  }
}

export const toTensor = ({ data, shape, dtype }: GoldenTensor): Tensor => fromArray(data, shape, dtype);

/** A JSON file, with the strings that stand for NaN and infinities as numbers. */
export function readJson<T>(path: string): T {
  const numbers: Record<string, number> = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  return JSON.parse(readFileSync(path, "utf8"), (_key, value: unknown) =>
    typeof value === "string" && value in numbers ? numbers[value] : value,
  ) as T;
}

/** Names of the JSON files (without ending) or folders in `dir`, sorted; none if it isn't there. */
export function list(dir: string, what: "json" | "folders"): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => (what === "folders" ? entry.isDirectory() : entry.name.endsWith(".json")))
    .map((entry) => entry.name.replace(/\.json$/, ""))
    .sort();
}

/** What a tensor holds, once the device has computed it. */
export const valuesOf = async (x: Tensor): Promise<Values> => ({ data: await x.data(), shape: x.shape });

export { existsSync as exists, join };
