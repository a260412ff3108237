import { readFile } from "node:fs/promises";
import { folderOf, serializeSafetensors, toFloat32 } from "@gpugrad/nn";
import { describe, expect, it } from "vitest";
import { shared } from "../../test/shared.ts";
import { openWeights } from "./open-weights.ts";

const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

describe("openWeights", () => {
  const write = async (names: string[]) => {
    const pieces: Uint8Array[] = [];
    const tensors = names.map((name, i) => ({ name, dtype: "F32" as const, shape: [1], bytes: floats(i) }));
    for await (const piece of serializeSafetensors(tensors)) pieces.push(piece);
    return new Blob(pieces as BlobPart[]);
  };
  const index = (weight_map: unknown, total_size?: unknown) => JSON.stringify({ metadata: { total_size }, weight_map });

  it("reads each key from its shard", async () => {
    const folder = folderOf({
      "model.safetensors.index.json": index({ a: "1.safetensors", b: "2.safetensors", c: "2.safetensors" }, 12),
      "1.safetensors": await write(["a"]),
      "2.safetensors": await write(["b", "c"]),
    });
    const weights = await openWeights(folder);
    expect(weights.keys()).toEqual(["a", "b", "c"]);
    expect(weights.metadata).toEqual({ format: "pt" });
    expect(weights.info("c")).toEqual({ dtype: "F32", shape: [1], byteLength: 4 });
    expect([...toFloat32("F32", (await weights.read("c")).bytes)]).toEqual([1]);
    await expect(weights.read("d")).rejects.toThrow(/no tensor "d"/);
  });

  it("names what is missing", async () => {
    const one = await write(["a"]);
    const open = (files: Record<string, string | Blob>) => openWeights(folderOf(files, "here"));
    await expect(open({})).rejects.toThrow(/here: no weights: neither model.safetensors nor/);
    const indexFile = "model.safetensors.index.json";
    await expect(open({ [indexFile]: index({ a: "1" }) })).rejects.toThrow(/shard 1 is missing from here/);
    await expect(open({ [indexFile]: index({ b: "1" }), "1": one })).rejects.toThrow(/b is not in 1, where the index/);
    for (const shard of ["../1", "..", "", "a/b", "a\\b", "C:1", "1\0"])
      await expect(open({ [indexFile]: index({ a: shard }) })).rejects.toThrow(
        /is not the name of a file in the folder/,
      );
    await expect(open({ "pytorch_model.bin": one })).rejects.toThrow(
      /index.json, but pytorch_model.bin. Only safetensors.*getattr\(t, t.AutoConfig.from_pretrained\(p\).architectures/,
    );
    for (const total of [3, 5, "4", null])
      await expect(open({ [indexFile]: index({ a: "1" }, total), "1": one })).rejects.toThrow(
        `metadata.total_size is ${JSON.stringify(total)}, and the tensors take 4 bytes`,
      );
    await expect(open({ [indexFile]: "{}" })).rejects.toThrow(/weight_map/);
    await expect(open({ [indexFile]: "{" })).rejects.toThrow(/index.json: not JSON/);
  });
});

const golden = shared("reference/ops/dtype.json");
it.skipIf(!golden)("sixteen bits are widened to PyTorch's float32", async () => {
  interface Case {
    name: string;
    input_bits: number[];
    output_bits: number[];
    input_is_nan: number[];
  }
  const { cases } = JSON.parse(await readFile(golden!, "utf8")) as { cases: Case[] };
  for (const { name, input_bits, output_bits, input_is_nan } of cases.filter((c) => c.name.endsWith("_to_f32"))) {
    const dtype = name.startsWith("bf16") ? "BF16" : "F16";
    const bits = new Uint32Array(toFloat32(dtype, new Uint8Array(new Uint16Array(input_bits).buffer)).buffer);
    input_bits.forEach((_, i) => {
      if (input_is_nan.includes(i)) expect(bits[i]! & 0x7fffffff).toBeGreaterThan(0x7f800000);
      else expect(bits[i], `${name} ${input_bits[i]}`).toBe(output_bits[i]);
    });
  }
});
