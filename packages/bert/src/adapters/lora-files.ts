import {
  SafetensorsFile,
  writeFileAside,
  writeParameter,
  writeSafetensors,
  type Folder,
  type SafetensorsDtype,
  type TensorToWrite,
} from "@gpugrad/nn";
import { check, type DType, type Tensor } from "@gpugrad/tensor";
import type { LoraConfig } from "./lora-config.ts";

const FILE = "adapter_model.safetensors";
const fileDtypes: Partial<Record<DType, SafetensorsDtype>> = { f32: "F32", f16: "F16", bf16: "BF16" };

/** Under which PEFT keeps the model: what all keys of its files begin with. */
export const PREFIX = "base_model.model.";

/** The keys of the model's own parameters that an adapter's file has, such as those of a classifier. */
export async function wholeKeys(folder: Folder): Promise<Set<string>> {
  const file = await openAdapter(folder);
  await file.close();
  return new Set(file.keys().flatMap((key) => (key.includes(".lora_") ? [] : key.slice(PREFIX.length))));
}

async function openAdapter(folder: Folder): Promise<SafetensorsFile> {
  const source = await folder.open(FILE);
  check(source, () => `${folder.name}: no ${FILE}. PEFT writes it with save_pretrained (safe_serialization=True).`);
  return SafetensorsFile.open(source);
}

/**
 * Reads adapter_model.safetensors into parameters by its keys.
 * @throws {@link GpugradError} when there is none, or its keys or shapes are others
 */
export async function readAdapter(folder: Folder, parameters: ReadonlyMap<string, Tensor>): Promise<void> {
  const file = await openAdapter(folder);
  try {
    const missing = [...parameters.keys()].filter((key) => !file.has(key));
    const unexpected = file.keys().filter((key) => !parameters.has(key));
    check(
      missing.length + unexpected.length === 0,
      () => `${file.name}: keys do not fit this model: missing ${shown(missing)}; unexpected ${shown(unexpected)}.`,
    );
    for (const [key, { shape: own }] of parameters) {
      const { shape } = file.info(key);
      check(
        shape.join() === own.join(),
        () => `${file.name}: ${key} is [${shape.join()}], this model's is [${own.join()}].`,
      );
    }
    for (const [key, parameter] of parameters) writeParameter(parameter, await file.read(key));
  } finally {
    await file.close();
  }
}

/** Writes adapter_config.json and adapter_model.safetensors: whole, or not at all. */
export async function writeAdapter(
  folder: string,
  config: LoraConfig,
  parameters: readonly (readonly [key: string, parameter: Tensor])[],
): Promise<void> {
  const tensors: TensorToWrite[] = parameters.map(([name, parameter]) => ({
    ...{ name, dtype: fileDtypes[parameter.dtype]!, shape: parameter.shape },
    bytes: () => parameter.bytes(),
  }));
  await writeSafetensors(`${folder}/${FILE}`, tensors, { format: "pt" });
  await writeFileAside(`${folder}/adapter_config.json`, config.toString());
}

const shown = (keys: readonly string[]): string =>
  keys.length === 0 ? "none" : `${keys.slice(0, 4).join(", ")}${keys.length > 4 ? ", …" : ""}`;
