import { Writable } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import type { DownloadProgress } from "../opener.ts";
import { progressOnStderr } from "./progress.ts";

type Step = [loaded: number, status: DownloadProgress["status"], message?: string];

/** What is written for these steps of a download of 10 MB, on a terminal or elsewhere; `between` is called after each. */
function written(isTTY: boolean, steps: Step[], between: () => unknown = () => undefined): string {
  let out = "";
  const stream = new Writable({ write: (chunk, _, done) => ((out += String(chunk)), done()) });
  const onProgress = progressOnStderr(Object.assign(stream, { isTTY, columns: 100 }));
  for (const [loaded, status, message] of steps) {
    onProgress({
      repo: "a/b",
      file: "model.safetensors",
      loaded: loaded * 1e6,
      total: 10e6,
      status,
      ...(message && { message }),
    });
    between();
  }
  return out;
}

describe("progressOnStderr", () => {
  it("writes few lines where there is no terminal", () => {
    const out = written(false, [[0, "downloading"], [5, "downloading"], [5, "note", "broken; continuing"], [10, "done"]]); // prettier-ignore
    expect(out).toBe(
      "Downloading a/b model.safetensors: 0 kB of 10.0 MB\nbroken; continuing\nDownloaded a/b model.safetensors: 10.0 MB\n",
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
    expect(out).toContain("50%");
    expect(process.getActiveResourcesInfo().filter((r) => r === "Timeout").length).toBeLessThan(2);
  });

  it("moves the bar as bytes arrive, one for each file, and writes notes beside it", () => {
    vi.useFakeTimers();
    try {
      const steps: Step[] = [[0, "downloading"], [3, "downloading"], [3, "note", "again"], [7, "uploading"], [10, "done"], [2, "downloading"]]; // prettier-ignore
      const out = written(true, steps, () => vi.advanceTimersByTime(1000));
      const shown = out.match(/\d+%|again|Upload/g);
      expect([...new Set(shown)]).toEqual(["0%", "30%", "again", "70%", "100%", "20%"]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("writes a line every ten seconds for large files only", () => {
    vi.useFakeTimers();
    try {
      const steps = Array.from({ length: 25 }, (_, i) => [i / 3, "downloading"] as Step);
      const lines = written(false, steps, () => vi.advanceTimersByTime(1000)).split("\n");
      expect(lines.map((line) => /(\d.*) of/.exec(line)?.[1])).toEqual(["0 kB", "3.3 MB", "6.7 MB", undefined]);
    } finally {
      vi.useRealTimers();
    }
  });
});
