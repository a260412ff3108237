import { isObject, readJson, SafetensorsFile, type Folder, type SafetensorsReader } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";

/**
 * Opens a model's weights: `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
 * The headers of all shards are read and checked; tensors are read from their shard when asked for.
 *
 * @throws {@link GpugradError} when the folder has neither, a shard or a key in it is missing, or the tensors are not as large together
 * as the index says.
 */
export async function openWeights(folder: Folder, basename = "model"): Promise<SafetensorsReader> {
  const single = await folder.open(`${basename}.safetensors`);
  if (single) return SafetensorsFile.open(single);

  const indexName = `${basename}.safetensors.index.json`;
  const index = await readJson(folder, indexName);
  if (!index) {
    const other = await findFile(folder, ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"]); // prettier-ignore
    check(
      false,
      () =>
        `${folder.name}: no weights: neither ${basename}.safetensors nor ${indexName}${other ? `, but ${other}` : ""}. ` +
        `Only safetensors is read. Python converts: pip install torch transformers; ${conversionOf(folder.name)}`,
    );
  }
  const where = `${folder.name}/${indexName}`;
  const weightMap = index["weight_map"];
  check(
    isObject(weightMap) && Object.values(weightMap).every((v) => typeof v === "string"),
    () => `${where}: weight_map: expected the name of a file for each tensor.`,
  );
  const shardOf = new Map(Object.entries(weightMap as Record<string, string>));
  const shards = new Map<string, SafetensorsFile>();
  const close = async () => void (await Promise.all([...shards.values()].map((shard) => shard.close())));
  try {
    for (const file of new Set(shardOf.values())) {
      check(
        /^[^/\\:\0]+$/.test(file) && file !== "." && file !== "..",
        () => `${where}: shard ${JSON.stringify(file).slice(0, 80)} is not the name of a file in the folder.`,
      );
      const source = await folder.open(file);
      check(source, () => `${where}: shard ${file} is missing from ${folder.name}. Fetch or copy it as well.`);
      shards.set(file, await SafetensorsFile.open(source));
    }
    for (const [key, file] of shardOf)
      check(shards.get(file)?.has(key), () => `${where}: ${key} is not in ${file}, where the index says it is.`);
    const total = isObject(index["metadata"]) ? index["metadata"]["total_size"] : undefined;
    const size = [...shardOf].reduce((sum, [key, file]) => sum + shards.get(file)!.info(key).byteLength, 0);
    check(
      total === undefined || total === size,
      () =>
        `${where}: metadata.total_size is ${JSON.stringify(total).slice(0, 80)}, and the tensors take ${size} bytes. ` +
        "Are the shards of one save? If so, leave total_size out of the index.",
    );
  } catch (error) {
    await close();
    throw error;
  }

  const shard = (key: string) => {
    const file = shards.get(shardOf.get(key) ?? "");
    check(file, () => `${where}: no tensor "${key}".`);
    return file;
  };
  return {
    name: where,
    metadata: [...shards.values()][0]?.metadata ?? {},
    keys: () => [...shardOf.keys()],
    has: (key) => shardOf.has(key),
    info: (key) => shard(key).info(key),
    read: async (key) => shard(key).read(key),
    close,
  };
}

/** The first of `files` that is there. */
async function findFile(folder: Folder, files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const source = await folder.open(file);
    await source?.close();
    if (source) return file;
  }
  return undefined;
}

/** A line that saves a checkpoint in safetensors, with the class that its config.json names. */
const conversionOf = (folder: string): string =>
  `python -c "import transformers as t; p = '${folder}'; ` +
  `getattr(t, t.AutoConfig.from_pretrained(p).architectures[0]).from_pretrained(p).save_pretrained('converted')"`;
