import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toFloat32, toInt32 } from "./convert.ts";
import type { SafetensorsDtype } from "./dtypes.ts";
import { SafetensorsFile } from "./file.ts";
import { writeSafetensors, type TensorToWrite } from "./write.ts";

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "safetensors-"))));
afterAll(() => rm(dir, { recursive: true }));

/** A file with this header and a number of bytes of data, made by hand. */
function file(header: unknown, dataLength: number, headerLength?: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength ?? text.length), true);
  bytes.set(text, 8);
  return bytes;
}
const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

/** How many times the time to open the second file is that of the first. */
async function growthOf([small, large]: Uint8Array[]): Promise<number> {
  const time = async (bytes: Uint8Array) => {
    const times = [];
    for (let i = 0; i < 4; i++) {
      const { user } = process.cpuUsage();
      await SafetensorsFile.open(bytes);
      times.push((process.cpuUsage().user - user) / 1000);
    }
    return Math.min(...times);
  };
  const least = [];
  for (let i = 0; i < 3; i++) least.push((await time(large!)) / Math.max(await time(small!), 1));
  return Math.min(...least);
}

describe("SafetensorsFile", () => {
  it("reads header, metadata and tensors from memory, a Blob and disk", async () => {
    const bytes = file(
      { __metadata__: { format: "pt" }, b: entry(0, 8, [1, 2]), a: entry(8, 12), none: entry(12, 12, [0, 3]) },
      12,
    );
    bytes.set(floats(1, 2, 3), bytes.length - 12);
    await writeFile(join(dir, "x.safetensors"), bytes);
    for (const from of [bytes, bytes.slice().buffer, new Blob([bytes as BlobPart]), join(dir, "x.safetensors")]) {
      const opened = await SafetensorsFile.open(from);
      expect(opened.metadata).toEqual({ format: "pt" });
      expect(opened.keys()).toEqual(["b", "a", "none"]);
      expect(opened.info("b")).toEqual({ dtype: "F32", shape: [1, 2], byteLength: 8 });
      expect([...toFloat32("F32", (await opened.read("b")).bytes)]).toEqual([1, 2]);
      expect([...toFloat32("F32", (await opened.read("a")).bytes)]).toEqual([3]);
      expect((await opened.read("none")).bytes.length).toBe(0);
      await expect(opened.read("c")).rejects.toThrow(/no tensor "c"/);
      await opened.close();
    }
  });

  const malformed: [string, Uint8Array, RegExp][] = [
    ["an empty file", new Uint8Array(), /not a safetensors file/],
    ["a header longer than the file", file({}, 0, 1000), /header longer than the file: 1000 bytes in a file of 10/],
    ["an absurd header length", file({}, 0, 2 ** 52), /header longer/],
    ["a header that is not JSON", file('{"a": ', 0), /header: not JSON/],
    ["a header that is not an object", file("[1]", 0), /expected a JSON object/],
    ["an entry that is not an object", file({ a: 3 }, 0), /a: unknown dtype undefined/],
    ["a truncated file", file({ a: entry(0, 8), b: entry(8, 16) }, 12), /b: ends at byte 16 of 12.*truncated/],
    ["bytes at the end", file({ a: entry(0, 8) }, 12), /4 bytes after the last tensor \(a\)/],
    ["overlapping tensors", file({ a: entry(0, 8), b: entry(4, 12) }, 12), /b: overlaps a: starts at 4, a ends at 8/],
    ["a gap", file({ a: entry(0, 4), b: entry(8, 12) }, 12), /b: leaves a gap after a/],
    [
      "offsets backwards",
      file({ a: { dtype: "F32", shape: [1], data_offsets: [4, 0] } }, 4),
      /a: data_offsets \[4,0\]/,
    ],
    ["negative offsets", file({ a: { dtype: "F32", shape: [1], data_offsets: [-4, 0] } }, 4), /a: data_offsets/],
    ["no offsets", file({ a: { dtype: "F32", shape: [1] } }, 4), /a: data_offsets undefined/],
    ["an unknown dtype", file({ a: entry(0, 4, [1], "F33") }, 4), /a: unknown dtype "F33"\. Known: BOOL/],
    ["a shape too small", file({ a: entry(0, 8, [1]) }, 8), /a: F32 \[1\] takes 4 bytes, data_offsets hold 8/],
    ["a shape too large for a number", file({ a: entry(0, 8, [2 ** 40, 2 ** 40]) }, 8), /a: F32 .* takes/],
    ["a shape with a fraction", file({ a: entry(0, 8, [0.5, 4]) }, 8), /a: shape \[0.5,4\]/],
    [
      "a key twice",
      file(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}, "\\u0061" : {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /"a" twice/,
    ],
    ["a field twice", file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4), /"dtype" twice/],
    ["a shape that overflows", file({ a: entry(0, 4, [2 ** 33, 2 ** 33]) }, 4), /a: F32 .* takes/],
    [
      "elements of 4 bits that end inside of a byte",
      file({ a: entry(0, 2, [3], "F4") }, 2),
      /a: F4 \[3\] takes 1.5 bytes/,
    ],
    ["a header that is not UTF-8", file("{}", 0).fill(0xff, 8), /header: not a text in UTF-8/],
    [
      "metadata nested deeply",
      file(`{"__metadata__":{"a":${"[".repeat(1e5)}${"]".repeat(1e5)}}}`, 0),
      /nested more than 128/,
    ],
    [
      "a shape nested deeply",
      file(`{"a":{"dtype":"F32","shape":${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}}}`, 0),
      /nested more/,
    ],
    ["metadata that is a list", file({ __metadata__: ["a"] }, 0), /__metadata__ maps names to strings/],
    ["metadata that is not text", file({ __metadata__: { a: 1 } }, 0), /__metadata__ maps names to strings/],
  ];
  it.each(malformed)("refuses %s", async (_, bytes, message) => {
    const path = join(dir, "malformed.safetensors");
    await writeFile(path, bytes);
    const error = await SafetensorsFile.open(path).catch((e: Error) => e);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(path);
  });

  // The safetensors library 0.8.0 opens these.
  it.each<[string, Uint8Array, Record<string, string>]>([
    ["null as metadata", file({ __metadata__: null, a: entry(0, 4) }, 4), {}],
    ["a key of the metadata twice", file('{"__metadata__":{"x":"1","x":"2"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', 4), { x: "2" }], // prettier-ignore
    ["fields that it does not know", file({ a: { ...entry(0, 4), more: [1] } }, 4), {}],
    [
      "12 MB of metadata",
      file({ __metadata__: { t: '\\"x'.repeat(4e6) }, a: entry(0, 4) }, 4),
      { t: '\\"x'.repeat(4e6) },
    ],
    ["tensors without elements", file({ none: entry(0, 0, [0]), a: entry(0, 4) }, 4), {}],
    ["spaces around the header", file(` ${JSON.stringify({ a: entry(0, 4) })}\n `, 4), {}],
    ...[
      ["F8_E4M3", 4],
      ["F8_E5M2", 4],
      ["F8_E8M0", 4],
      ["F8_E4M3FNUZ", 4],
      ["F8_E5M2FNUZ", 4],
      ["F4", 8],
    ].map(([dtype, count]): [string, Uint8Array, Record<string, string>] => [
      String(dtype),
      file({ b: entry(0, 4, [count as number], dtype as string), a: entry(4, 8) }, 8),
      {},
    ]),
    ["F6_E2M3", file({ a: entry(0, 3, [4], "F6_E2M3") }, 3), {}],
    ["C64", file({ a: entry(0, 8, [1], "C64") }, 8), {}],
  ])("opens %s", async (_, bytes, metadata) => {
    const opened = await SafetensorsFile.open(bytes);
    expect(opened.metadata).toEqual(metadata);
    expect((await opened.read("a")).bytes.length).toBe(opened.info("a").byteLength);
  });

  it("opens a header in time that doubles with its length", () => {
    const header = (n: number) => file(`{${Array.from({ length: n }, (_, i) => `"k\\\\${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(",")}}`, 0); // prettier-ignore
    const sizes = [header(4_000), header(8_000)];
    const opened = growthOf(sizes);
    return expect(opened).resolves.toBeLessThan(3);
  });

  it("says so when there is no file, or when it shrinks while open", async () => {
    await expect(SafetensorsFile.open(join(dir, "none"))).rejects.toThrow(/none: no such file/);
    const path = join(dir, "shrinks");
    await writeFile(path, file({ a: entry(0, 8) }, 8));
    const opened = await SafetensorsFile.open(path);
    await writeFile(path, "");
    await expect(opened.read("a")).rejects.toThrow(/cut short/);
    await opened.close();
  });
});

describe("writeSafetensors", () => {
  const tensors: TensorToWrite[] = [
    { name: "z", dtype: "F32", shape: [2], bytes: floats(1, 2) },
    { name: "i", dtype: "I64", shape: [], bytes: new Uint8Array(8) },
    { name: "half", dtype: "F16", shape: [3], bytes: () => Promise.resolve(new Uint8Array(6)) },
    { name: "a", dtype: "F32", shape: [1, 1], bytes: floats(3) },
    { name: "7", dtype: "BOOL", shape: [1], bytes: new Uint8Array(1) },
  ];

  it("lays tensors out by dtype, then name, after an aligned header", async () => {
    const path = join(dir, "new", "written.safetensors");
    await writeSafetensors(path, tensors);
    const bytes = await readFile(path);
    const length = Number(bytes.readBigUInt64LE());
    expect(length % 8).toBe(0);
    expect(bytes.toString("utf8", 8, 8 + length).trimEnd()).toBe(
      '{"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
        '"a":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},"z":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},' +
        '"half":{"dtype":"F16","shape":[3],"data_offsets":[20,26]},"7":{"dtype":"BOOL","shape":[1],"data_offsets":[26,27]}}',
    );
    const opened = await SafetensorsFile.open(path);
    expect([...toFloat32("F32", (await opened.read("z")).bytes)]).toEqual([1, 2]);
    await opened.close();
    expect(await readdir(join(dir, "new"))).toEqual(["written.safetensors"]);
  });

  it("leaves the old file alone when a tensor is wrong", async () => {
    const path = join(dir, "kept.safetensors");
    await writeFile(path, "old");
    const wrong = { name: "w", dtype: "F32" as const, shape: [3], bytes: floats(1) };
    await expect(writeSafetensors(path, [...tensors, wrong])).rejects.toThrow(/w: F32 \[3\] takes 12 bytes, got 4/);
    await expect(writeSafetensors(path, [...tensors, ...tensors])).rejects.toThrow(/two tensors named/);
    const reserved = { name: "__metadata__", dtype: "F32" as const, shape: [1], bytes: floats(1) };
    await expect(writeSafetensors(path, [reserved], {})).rejects.toThrow(/two tensors named "__metadata__"/);
    expect(await readFile(path, "utf8")).toBe("old");
    expect((await readdir(dir)).filter((f) => f.endsWith(".tmp"))).toEqual([]);
  });
});

describe("conversions", () => {
  it("widens every kind of float16 and bfloat16 exactly", () => {
    const f16 = [0, 0x8000, 1, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00];
    expect([...toFloat32("F16", new Uint8Array(new Uint16Array(f16).buffer))]).toEqual([
      0,
      -0,
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      1,
      -2,
      65504,
      Infinity,
      -Infinity,
    ]);
    expect([...toFloat32("BF16", new Uint8Array(new Uint16Array([0x3f80, 0xc040, 0xff80]).buffer))]).toEqual([
      1,
      -3,
      -Infinity,
    ]);
  });

  it("converts the other dtypes, and refuses what does not fit", () => {
    const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer as ArrayBuffer);
    const cases: [SafetensorsDtype, ArrayBufferView, number[]][] = [
      ["F64", new Float64Array([0.5, -3]), [0.5, -3]],
      ["I32", new Int32Array([-7]), [-7]],
      ["I16", new Int16Array([-7]), [-7]],
      ["I8", new Int8Array([-7]), [-7]],
      ["U8", new Uint8Array([200]), [200]],
      ["BOOL", new Uint8Array([0, 1]), [0, 1]],
    ];
    for (const [dtype, array, values] of cases) expect([...toFloat32(dtype, bytes(array))], dtype).toEqual(values);
    expect([...toInt32("I64", bytes(new BigInt64Array([-5n, 2147483647n])))]).toEqual([-5, 2147483647]);
    expect(() => toInt32("I64", bytes(new BigInt64Array([0n, 2n ** 31n])))).toThrow(/I64 value 2147483648 at index 1/);
    expect(() => toInt32("F32", floats(1))).toThrow(/F32 is not an integer/);
    expect(() => toFloat32("I64", new Uint8Array(8))).toThrow(/I64 does not fit float32/);
    const odd = new Uint8Array(9);
    odd.set(floats(1, 2), 1);
    expect([...toFloat32("F32", odd.subarray(1))]).toEqual([1, 2]);
  });
});
