import { afterEach, expect, test, vi } from "vitest";
import { doctor } from "./doctor.ts";
import { lavapipeCommands, osRelease } from "./doctor-fix.ts";

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
