import { readJson, type Folder } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { openByName, type HubOptions } from "../opener.ts";

/** The configuration of an adapter: a folder that has it and no weights of a model is an adapter's. */
const CONFIG = "adapter_config.json";

/**
 * An adapter's folder over that of the model that it was trained on: files that the one lacks, such as the weights, are the other's.
 *
 * @returns undefined for a folder that is not an adapter's
 * @throws {@link GpugradError} where the model is not named, or can't be opened
 */
export async function overBase(folder: Folder, options: HubOptions = {}): Promise<Folder | undefined> {
  const config = await readJson(folder, CONFIG);
  if (!config || (await has(folder, "model.safetensors"))) return undefined;
  const { base_model_name_or_path: id, revision } = config;
  check(
    typeof id === "string" && id !== "",
    () =>
      `${folder.name}/${CONFIG}: base_model_name_or_path is ${JSON.stringify(id)}: name the model that the adapter is for.`,
  );
  const { revision: _, ...access } = options; // the adapter's own
  let base: Folder;
  try {
    base = await openByName(id, { ...access, ...(typeof revision === "string" && { revision }) });
  } catch (error) {
    if (error instanceof Error) error.message = `${folder.name}: the adapter's model: ${error.message}`;
    throw error;
  }
  return {
    name: folder.name,
    open: async (file) => (file === CONFIG ? undefined : ((await folder.open(file)) ?? base.open(file))),
  };
}

async function has(folder: Folder, file: string): Promise<boolean> {
  const source = await folder.open(file);
  await source?.close();
  return source !== undefined;
}
