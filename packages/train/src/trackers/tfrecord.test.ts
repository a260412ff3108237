import { expect, it } from "vitest";
import { crc32c, tfrecord } from "./tfrecord.ts";

it("crc32c gives the values of RFC 3720, appendix B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(ascending)).toBe(0x46dd794e);
  expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
});

it("a record has length, data, and the masked checksums of both, as TensorBoard's own code makes them", () => {
  const hex = (text: string) => Buffer.from(tfrecord(new TextEncoder().encode(text))).toString("hex");
  expect(hex("")).toBe("0000000000000000" + "29039807" + "d8ea82a2");
  expect(hex("\x07")).toBe("0100000000000000" + "0175de41" + "07" + "46f8f711");
  expect(hex("gpugrad")).toBe("0700000000000000" + "bbd79f11" + "67707567726164" + "6a1bde47");
});
