import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FileBlob } from "./file-blob.ts";

const bytes = randomBytes(3_000_000);
let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "blob-"));
  path = join(folder, "file");
  writeFileSync(path, bytes);
});
afterAll(() => rmSync(folder, { recursive: true }));

const whole = async (blob: Blob) => Buffer.from(await new Response(blob.stream()).arrayBuffer());

it("reads a file, a part of it, and a part of that", async () => {
  const blob = new FileBlob(path, bytes.length);
  expect((await whole(blob)).equals(bytes)).toBe(true);
  const part = blob.slice(1_000_000, 2_000_000).slice(10, 9_999_999);
  expect(part.size).toBe(999_990);
  expect((await whole(part)).equals(bytes.subarray(1_000_010, 2_000_000))).toBe(true);
  expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1_000_010, 2_000_000))).toBe(true);
  expect(await whole(blob.slice(5, 5))).toHaveLength(0);
});

it("reads no further than it is asked to, and counts each byte of the last attempt once", async () => {
  let sent = 0;
  const blob = new FileBlob(path, bytes.length, (more) => (sent += more));
  const first = new AbortController();
  const reader = blob
    .sending(() => undefined, first.signal)
    .stream()
    .getReader();
  await reader.read();
  await sleep(20);
  expect(sent).toBeLessThan(200_000); // the file's chunks are of 64 KiB
  first.abort();
  await expect(reader.read()).rejects.toThrow("aborted");
  const again = blob.sending(() => undefined, new AbortController().signal);
  expect((await whole(again)).equals(bytes)).toBe(true);
  expect(sent).toBe(bytes.length);
});
