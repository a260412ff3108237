import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readText } from "@gpugrad/nn";
import { expect, test } from "vitest";
import { openByName, opener } from "./opener.ts";

test("names are local folders alone, until the package's index hands in the Hub", async () => {
  const path = mkdtempSync(join(tmpdir(), "gpugrad-opener-"));
  try {
    writeFileSync(join(path, "a.txt"), "text");
    const folder = await openByName(path);
    expect([folder.name, await readText(folder, "a.txt"), await folder.open("b.txt")]).toEqual([path, "text", undefined]); // prettier-ignore
    expect(await openByName(folder)).toBe(folder);
    await expect(openByName(join(path, "a.txt"))).rejects.toThrow("a.txt: no such folder.");
    await expect(openByName("some/model")).rejects.toThrow(
      "some/model: no such folder. To open repositories of the Hub",
    );

    const { openFolder } = await import("./index.ts");
    expect(opener.open).toBe(openFolder);
  } finally {
    rmSync(path, { recursive: true });
  }
});
