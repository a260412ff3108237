import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkKernels, findWrongKernels, type KernelCheck } from "./checks.ts";
import { fill } from "./ops/elementwise/fill.ts";
import type { Rung } from "./ops/ladder.ts";
import { ladders } from "./ops/ladders.ts";
import type { SoftmaxTask } from "./ops/softmax/ladder.ts";
import { destroy, device, init } from "./runtime/init.ts";
import { writeLeftOut } from "./runtime/tuning-file.ts";
import { adapterKey } from "./runtime/tuning.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpugrad-checks-"));
  vi.stubEnv("GPUGRAD_CACHE", folder);
  vi.stubEnv("GPUGRAD_KERNELS", undefined);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await destroy();
  await rm(folder, { recursive: true });
});

const only = (name: string): boolean => name === "softmax4096x256";

const checksOf = async (options: Parameters<typeof checkKernels>[0]): Promise<KernelCheck[]> => {
  const checks: KernelCheck[] = [];
  for await (const check of checkKernels(options)) checks.push(check);
  return checks;
};

/** From now on this rung of softmax gives 0.5 everywhere. */
function spoil(name: string): void {
  const rung = ladders.softmax.rungs[name.replace("softmax/", "") as "rows"];
  const { compute } = rung;
  vi.spyOn(rung, "compute").mockImplementation((task: SoftmaxTask) => {
    compute(task);
    fill(task.tensors["y"]!, 0.5);
  });
}

describe("the kernels of this device", () => {
  test("are right, chosen or not", async () => {
    await init();
    const checks = await checksOf({ only, everyRung: true });
    const suitable = Object.values<Rung<object>>(ladders.softmax.rungs).filter((rung) =>
      rung.suits(device().adapter, { pass: "forward", rows: 4096, cols: 256, inner: 1 }),
    );
    expect(checks.map(({ problem }) => problem)).toEqual(checks.map(() => undefined));
    expect(new Set(checks.flatMap(({ kernels }) => kernels))).toEqual(
      new Set(suitable.map(({ name }) => `softmax/${name}`)),
    );
  });

  test("are named where they are wrong, and left out", async () => {
    await init();
    Object.assign(device().adapter, { cpu: false });
    const [chosen] = await checksOf({ only });
    spoil(chosen!.kernels[0]!);
    const { checks, leaveOut, stillWrong } = await findWrongKernels({ only });
    expect(checks).toEqual([
      { ...chosen, problem: expect.stringMatching(/^wrong result: element 0 is 0\.5, not/) as string },
    ]);
    expect(leaveOut).toEqual(chosen!.kernels);
    expect(stillWrong).toEqual([]);
    await init({ leaveOut });
    const [other] = await checksOf({ only });
    expect(other!.problem).toBeUndefined();
    expect(other!.kernels).not.toEqual(chosen!.kernels);
    // Asked again, it is tried again: the driver may be another one.
    expect((await findWrongKernels({ only })).leaveOut).toEqual(leaveOut);
  });

  test("stay wrong where all are", async () => {
    await init();
    for (const name of Object.keys(ladders.softmax.rungs)) spoil(name);
    const { leaveOut, stillWrong } = await findWrongKernels({ only });
    expect(leaveOut).not.toContain("softmax/rows");
    expect(stillWrong).toMatchObject([{ kernels: ["softmax/rows"] }]);
  });
});

describe("kernels are left out", () => {
  test("by the environment, or else by the file of this adapter", async () => {
    const { adapter } = await init();
    await destroy();
    await writeLeftOut(adapterKey(adapter), ["matmul/tiled"]);
    expect((await init()).adapter.leftOut).toEqual(["matmul/tiled"]);
    await destroy();
    vi.stubEnv("GPUGRAD_KERNELS", "-softmax/subgroup, -norm/workgroup");
    expect((await init()).adapter.leftOut).toEqual(["softmax/subgroup", "norm/workgroup"]);
    await destroy();
    vi.stubEnv("GPUGRAD_KERNELS", "");
    expect((await init()).adapter.leftOut).toEqual([]);
  });

  test("only by names that are known, of those that something else can stand in for", async () => {
    const refusal = async (given: string): Promise<string> => {
      vi.stubEnv("GPUGRAD_KERNELS", given);
      return init().then(
        () => "",
        (error: Error) => error.message,
      );
    };
    expect(await refusal("-softmax/subgrup")).toMatch(
      /^GPUGRAD_KERNELS: there is no kernel softmax\/subgrup; there are .*matmul\/tiled.* Did you mean softmax\/subgroup\?$/,
    );
    expect(await refusal("softmax/subgroup")).toBe(
      "GPUGRAD_KERNELS: softmax/subgroup has no minus before it. To leave a kernel out: -softmax/subgroup.",
    );
    expect(await refusal("-attention/online")).toMatch(
      /attention\/online can't be left out: it computes what no other/,
    );
    vi.stubEnv("GPUGRAD_KERNELS", "");
    await expect(init({ leaveOut: ["matmul/none"] })).rejects.toThrow("init: leaveOut: there is no kernel matmul/none");
  });
});
