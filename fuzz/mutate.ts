// Seeded mutations of a file: bytes, lines and numbers for every format, values and keys where a part of it is JSON.
import type { Random } from "../packages/train/src/random.ts";

/** Longest input, in bytes: what takes long on a file this small would stall on one of a megabyte. */
export const MAX_BYTES = 1 << 16;

const NUMBERS = ["0", "-1", "1", "2", "127", "255", "256", "65536", "1000000", "2147483648", "4294967296", "1e9", "1e15", "9007199254740993", "1e999", "-0", "0.5", "NaN", "Infinity", "null", '"5"', "[]"]; // prettier-ignore
const STRINGS = ["", "__proto__", "constructor", "toString", "hasOwnProperty", "length", "../../x", "/etc/passwd", "a\0b", "\u202e", "\ud83d\ude00", "\u001b[31m", "=1+1", "nan", "x".repeat(5000)]; // prettier-ignore
const BYTES = [0, 1, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x5c, 0x7f, 0x80, 0xc0, 0xff];

type Mutation = (bytes: Buffer, random: Random, words: readonly string[], other: Buffer) => Buffer;

const cut = (bytes: Buffer, start: number, end: number, ...inserted: (Buffer | string)[]): Buffer =>
  Buffer.concat([bytes.subarray(0, start), ...inserted.map((part) => Buffer.from(part)), bytes.subarray(end)]);

/** A range of the input: mostly short, now and then up to all of it. */
function range(bytes: Buffer, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length + 1);
  const longest = random.below(4) === 0 ? bytes.length : 16;
  return [start, Math.min(bytes.length, start + 1 + random.below(longest + 1))];
}

const mutations: readonly Mutation[] = [
  function flipBit(bytes, random) {
    if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  function setByte(bytes, random) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(2) ? random.pick(BYTES) : random.below(256);
    return bytes;
  },
  function setInteger(bytes, random) {
    const size = random.pick([2, 4, 8]);
    if (bytes.length < size) return bytes;
    const value = random.pick([0n, 1n, 0x7fffn, 0xffffn, 0x7fffffffn, 0xffffffffn, 1n << 40n, (1n << 64n) - 1n, BigInt(bytes.length)]); // prettier-ignore
    const little = Buffer.alloc(8);
    little.writeBigUInt64LE(value);
    little.copy(bytes, random.below(bytes.length - size + 1), 0, size);
    return bytes;
  },
  function remove(bytes, random) {
    return cut(bytes, ...range(bytes, random));
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function repeat(bytes, random) {
    const [start, end] = range(bytes, random);
    const times = Math.min(random.pick([1, 2, 10, 100, 10_000]), Math.ceil(MAX_BYTES / Math.max(1, end - start)));
    return cut(bytes, end, end, ...Array<Buffer>(times).fill(bytes.subarray(start, end)));
  },
  function move(bytes, random) {
    const [start, end] = range(bytes, random);
    const moved = Buffer.from(bytes.subarray(start, end));
    const rest = cut(bytes, start, end);
    const at = random.below(rest.length + 1);
    return cut(rest, at, at, moved);
  },
  function insertWord(bytes, random, words) {
    const at = random.below(bytes.length + 1);
    return cut(bytes, at, at, random.pick(words.length > 0 && random.below(4) > 0 ? words : STRINGS));
  },
  function repeatWord(bytes, random, words) {
    const at = random.below(bytes.length + 1);
    const word = random.pick(words.length > 0 ? words : STRINGS);
    return cut(bytes, at, at, word.repeat(random.pick([2, 50, 2000])));
  },
  function splice(bytes, random, _, other) {
    return cut(bytes, ...range(bytes, random), other.subarray(...range(other, random)));
  },
  function replaceNumber(bytes, random) {
    const numbers = [...bytes.toString("latin1").matchAll(/-?\d+(\.\d+)?/g)];
    if (numbers.length === 0) return bytes;
    const { index, 0: found } = random.pick(numbers);
    return cut(bytes, index, index + found.length, random.pick(NUMBERS));
  },
  mutateJson,
  mutateJson,
];

/** Changes one value or key of the JSON that the input is, or that lies between the marks of a bundle. */
function mutateJson(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString("utf8");
  const opens = [...text.matchAll(/^[{[]/gm)].map(({ index }) => index);
  if (opens.length === 0) return bytes;
  const start = random.pick(opens);
  const end = text.indexOf("\n=== ", start);
  const line = text.indexOf("\n", start);
  for (const stop of [end < 0 ? text.length : end, line < 0 ? text.length : line]) {
    try {
      const json = changed(JSON.parse(text.slice(start, stop)), random).slice(0, MAX_BYTES);
      return Buffer.from(text.slice(0, start) + json + text.slice(stop));
    } catch {
      continue; // not the whole part, but its first line, as in JSONL; or nested too deeply to be written
    }
  }
  return bytes;
}

/** The text of a JSON value with one change somewhere inside. */
function changed(value: unknown, random: Random): string {
  if (typeof value === "object" && value !== null && random.below(6) > 0) {
    const isList = Array.isArray(value);
    const entries = Object.entries(value as Record<string, unknown>).map(([key, entry]) => [
      key,
      JSON.stringify(entry),
    ]);
    if (entries.length > 0) {
      const at = random.below(entries.length);
      const entry = entries[at]!;
      const choice = random.below(10);
      if (choice < 6) entry[1] = changed((value as Record<string, unknown>)[entry[0]!], random);
      else if (choice === 6) entries.splice(at, 1);
      else if (choice === 7) entries.push([random.pick(STRINGS), entry[1]!]);
      else if (choice === 8)
        entries.push([entry[0]!, random.pick(NUMBERS.slice(0, 10))]); // a key that comes twice
      else entry[0] = random.pick(STRINGS);
    }
    const parts = entries.map(([key, json]) => (isList ? json : `${JSON.stringify(key)}:${json}`));
    return isList ? `[${parts.join(",")}]` : `{${parts.join(",")}}`;
  }
  const depth = random.pick([3, 300, 8000]);
  return random.pick([
    random.pick(NUMBERS),
    JSON.stringify(random.pick(STRINGS)),
    '"[SEP]"',
    "true",
    "{}",
    '{"__proto__":{"x":1}}',
    "[".repeat(depth) + "]".repeat(depth),
    '{"a":'.repeat(depth) + "1" + "}".repeat(depth),
    `[${JSON.stringify(value ?? null)},${JSON.stringify(value ?? null)}]`,
  ]);
}

/** A few mutations of `input`; parts may come from `other`. */
export function mutate(input: Uint8Array, random: Random, words: readonly string[], other: Uint8Array): Uint8Array {
  let bytes: Buffer = Buffer.from(input);
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) bytes = random.pick(mutations)(bytes, random, words, Buffer.from(other));
  return Uint8Array.from(bytes.subarray(0, MAX_BYTES));
}
