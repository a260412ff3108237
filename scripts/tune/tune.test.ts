import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { destroy, device, init } from "@gpugrad/tensor";
import { ladders } from "../../packages/tensor/src/ops/ladders.ts";
import { layer, tuneShape } from "./tune.ts";

afterEach(destroy);

test("the products of a layer are timed, whatever is transposed; what computes wrongly is left out", async () => {
  await init({ tuning: false });
  const { cpu } = device().adapter;
  for (const shape of layer(40, 33, 48)) {
    const { times, wrong, usual } = await tuneShape(shape, "f32");
    expect(wrong).toEqual([]);
    expect(times.map((t) => t.choice.split("/")[0])).toContain(usual);
    expect([...times].sort((x, y) => x.ms - y.ms)).toEqual(times);
  }
  const { registers } = ladders.matmul.rungs;
  const honest = registers.compute;
  try {
    registers.compute = () => {};
    const { wrong } = await tuneShape(layer(40, 33, 48)[0]!, "f32");
    if (cpu) expect(wrong).toEqual(["registers"]);
  } finally {
    registers.compute = honest;
  }
  expect(ladders.matmul.forced).toBeUndefined();
});

test("pnpm tune keeps what it measured where init() finds it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-tune-"));
  try {
    const env = { ...process.env, GPUGRAD_CACHE: folder, GPUGRAD_TUNING: "" };
    const command = ["scripts/run.mjs", "scripts/tune/cli.ts", "--layer", "24x20x28"];
    const out = execFileSync(process.execPath, command, { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    expect(out).toMatch(/matmul 24×28×20 f32: \w+.*\n.*matmul 24×20×28 f32: .*\n.*matmul 28×20×24 f32: /);
    process.env["GPUGRAD_CACHE"] = folder;
    const { tuning } = await init();
    expect([...tuning.keys()]).toEqual(["matmul 24×28×20 f32", "matmul 24×20×28 f32", "matmul 28×20×24 f32"]);
  } finally {
    delete process.env["GPUGRAD_CACHE"];
    rmSync(folder, { recursive: true });
  }
});
