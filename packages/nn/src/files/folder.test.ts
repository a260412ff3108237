import { expect, test } from "vitest";
import { byteSource, folderOf } from "./folder.ts";

test("a source of text, bytes or a Blob: the same bytes, from anywhere in them", async () => {
  const text = "aé字b"; // 1, 2, 3 and 1 bytes
  const bytes = Uint8Array.of(0x61, 0xc3, 0xa9, 0xe5, 0xad, 0x97, 0x62);
  for (const content of [text, bytes, bytes.buffer, new Blob([bytes])]) {
    const source = byteSource(content);
    expect(source.size).toBe(7);
    expect(new Uint8Array(await source.read(0, 7))).toEqual(bytes);
    expect(new Uint8Array(await source.read(3, 3))).toEqual(bytes.subarray(3, 6));
  }
  const folder = folderOf({ "a.txt": text }, "here");
  expect([folder.name, await folder.open("b.txt"), (await folder.open("a.txt"))!.size]).toEqual(["here", undefined, 7]);
});
