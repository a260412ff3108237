import * as tensor from "@gpugrad/tensor/checks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { doctor } from "./doctor.ts";
import { lavapipeCommands, osRelease } from "./doctor-fix.ts";

vi.mock("@gpugrad/tensor/checks", { spy: true });

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Runs the doctor; its exit code and what it wrote to stdout. */
async function run(...args: string[]): Promise<{ code: number; stdout: string }> {
  let stdout = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const code = await doctor(args);
  return { code, stdout };
}

test("--json: stdout is one object with adapter, ok and checks", async () => {
  const { code, stdout } = await run("--json");
  const report = JSON.parse(stdout) as { adapter: { description: string }; ok: boolean; checks: { name: string }[] };
  expect(code).toBe(0);
  expect(report.ok).toBe(true);
  expect(report.adapter.description).not.toBe("");
  expect(report.checks.map((check) => check.name)).toEqual(
    expect.arrayContaining(["node", "adapter", "computes", "limits"]),
  );
});

test("without an adapter: exit code 1, and how to fix it", async () => {
  vi.stubEnv("GPUGRAD_ADAPTER", "voodoo 3dfx");
  const { code, stdout } = await run();
  expect(code).toBe(1);
  expect(stdout).toMatch(/✗ adapter .*voodoo 3dfx[^]*fix: .*GPUGRAD_ADAPTER/);
});

// What finds wrong kernels is tested beside the kernels, with one that is wrong.
describe("--deep", () => {
  const one = {
    case: "softmax4096x256",
    kernels: ["softmax/subgroup"],
    problem: "wrong result: element 0 is 1, not 2",
  };
  const kernelsCheck = (stdout: string) =>
    (JSON.parse(stdout) as { checks: { name: string }[] }).checks.find(({ name }) => name === "kernels");

  test("names the wrong kernel and the way out; --fix leaves it out", async () => {
    vi.mocked(tensor.findWrongKernels).mockResolvedValue({
      ...{ checks: [one], leaveOut: one.kernels, stillWrong: [] },
    });
    const keep = vi.mocked(tensor.keepLeftOut).mockResolvedValue("/somewhere/left-out.json");
    const { code, stdout } = await run("--deep", "--json");
    expect(code).toBe(0);
    expect(kernelsCheck(stdout)).toEqual({
      ...{ name: "kernels", ok: false, cost: "these kernels compute wrong results here" },
      found: "softmax/subgroup in softmax4096x256: wrong result: element 0 is 1, not 2",
      fix: 'gpugrad doctor --deep --fix leaves them out on this adapter; so does GPUGRAD_KERNELS="-softmax/subgroup"',
    });
    expect(keep).not.toHaveBeenCalled();
    expect(kernelsCheck((await run("--deep", "--fix", "--json")).stdout)).toMatchObject({
      ...{ ok: true, found: expect.stringContaining("softmax/subgroup (/somewhere/left-out.json)") as string },
    });
    expect(keep).toHaveBeenCalledWith(["softmax/subgroup"]);
  });

  test("exit code 1 where nothing else can compute it", async () => {
    const stillWrong = [{ ...one, kernels: [] }];
    vi.mocked(tensor.findWrongKernels).mockResolvedValue({ checks: stillWrong, leaveOut: [], stillWrong });
    const { code, stdout } = await run("--deep");
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ kernels .*the only kernel in softmax4096x256: wrong result/);
  });
});

test("wrong usage: exit code 2", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  expect((await run("--jsn")).code).toBe(2);
  expect((await run("surplus")).code).toBe(2);
});

test.runIf(osRelease()["VERSION_CODENAME"] === "bookworm")("Debian 12 takes lavapipe from its backports", () => {
  expect(lavapipeCommands()).toMatch(
    /apt-get install -y --no-install-recommends -t bookworm-backports mesa-vulkan-drivers/,
  );
});
