import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { progressOnStderr, type DownloadProgress } from "./hub-progress.ts";

/** What is written for these steps of a download of 10 MB, on a terminal or elsewhere. */
function written(
  isTTY: boolean,
  steps: [loaded: number, status: DownloadProgress["status"], message?: string][],
): string {
  let out = "";
  const stream = new Writable({ write: (chunk, _, done) => ((out += String(chunk)), done()) });
  const onProgress = progressOnStderr(Object.assign(stream, { isTTY, columns: 100 }) as unknown as NodeJS.WriteStream);
  for (const [loaded, status, message] of steps)
    onProgress({
      repo: "a/b",
      file: "model.safetensors",
      loaded: loaded * 1e6,
      total: 10e6,
      status,
      ...(message && { message }),
    });
  return out;
}

describe("progressOnStderr", () => {
  it("writes few lines where there is no terminal", () => {
    const out = written(false, [[0, "downloading"], [5, "downloading"], [5, "note", "broken; going on"], [10, "done"]]); // prettier-ignore
    expect(out).toBe(
      "Downloading a/b model.safetensors: 0 kB of 10.0 MB\nbroken; going on\nDownloaded a/b model.safetensors: 10.0 MB\n",
    );
  });

  it("says of an upload that it is one", () => {
    const out = written(false, [[0, "uploading"], [10, "done"], [0, "downloading"], [10, "done"]]); // prettier-ignore
    expect(out.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "Uploading",
      "Uploaded",
      "Downloading",
      "Downloaded",
      "",
    ]);
  });

  it("draws a bar on a terminal, and takes its timer down when a download fails", () => {
    const out = written(true, [[0, "downloading"], [5, "downloading"], [5, "failed"]]); // prettier-ignore
    expect(out).toContain("model.safetensors");
    expect(out).toContain("of 10.0 MB");
    expect(process.getActiveResourcesInfo().filter((r) => r === "Timeout").length).toBeLessThan(2);
  });
});
