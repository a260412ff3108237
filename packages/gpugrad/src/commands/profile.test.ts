import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { TraceEvent } from "./trace-events.ts";
import { profile } from "./profile.ts";

const tinyBert = fileURLToPath(new URL("../../../bert/test/fixtures/tiny-bert", import.meta.url));
const small = ["--model", tinyBert, "--batch-size", "2", "--seq-length", "6", "--steps", "2"];

let dir: string;
beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "profile-"))));
afterAll(() => rm(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function run(args: string[]): Promise<{ code: number; out: string }> {
  let out = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  return { code: await profile(args), out };
}

describe("gpugrad profile", () => {
  it("reports the time of each kernel, and writes a trace with the same dispatches", async () => {
    const file = join(dir, "trace.json");
    const { code, out } = await run([...small, "--json", "--trace", file]);
    expect(code).toBe(0);
    const rows = JSON.parse(out) as { kernel: string; dispatches: number; ms: number; share: number }[];
    expect(rows.map((row) => row.kernel).join()).toMatch(
      /ops\/attention\/.*train\/optim\/|train\/optim\/.*ops\/attention\//,
    );
    expect(rows.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);

    const { traceEvents } = JSON.parse(await readFile(file, "utf8")) as { traceEvents: TraceEvent[] };
    const threads = traceEvents.filter(({ name }) => name === "thread_name").map(({ tid }) => tid);
    const [host, device] = threads.map((tid) => traceEvents.filter((e) => e.ph === "X" && e.tid === tid));
    expect(host!.map(({ name }) => name)).toEqual([1, 2].flatMap(() => ["forward", "backward", "optimizer", "wait"]));
    for (const events of [host!, device!]) {
      let last = 0;
      for (const { ts, dur } of events) {
        expect(ts).toBeGreaterThanOrEqual(last);
        expect(dur).toBeGreaterThanOrEqual(0);
        last = ts!;
      }
    }
    for (const { kernel, dispatches, ms } of rows) {
      const of = device!.filter(({ args }) => args!["kernel"] === kernel);
      expect(of).toHaveLength(dispatches);
      expect(of.reduce((sum, { dur }) => sum + dur!, 0) / 1000).toBeCloseTo(ms, 6);
    }
    expect(device).toHaveLength(rows.reduce((sum, row) => sum + row.dispatches, 0));
  });

  it("prints a table", async () => {
    const { code, out } = await run([...small, "--fp16"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^kernel +dispatches +ms +share +GB\/s +GFLOP\/s$/m);
    expect(out).toMatch(/^adamw\S* +\d/m);
  });

  it("refuses wrong usage", async () => {
    expect((await run(["--steps", "0"])).code).toBe(2);
    expect((await run(["more"])).code).toBe(2);
  });
});
