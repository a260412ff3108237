import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import { throttleDawnPolls } from "./dawn-polls.ts";
import { requestAdapter } from "./platform.node.ts";
import { cacheFolder, swiftShaderFolder } from "./swiftshader.ts";

const linuxX64 = process.platform === "linux" && process.arch === "x64";
const folders: string[] = [];

afterEach(() => {
  vi.unstubAllEnvs();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Puts a shell script in npm's place, and an empty folder in the cache's. */
function fakeNpm(script: string): void {
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-npm-"));
  folders.push(folder);
  writeFileSync(join(folder, "npm"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "npm"), 0o755);
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
  vi.stubEnv("GPUGRAD_CACHE", join(folder, "cache"));
}

const cacheIsEmpty = () => !existsSync(cacheFolder()) || readdirSync(cacheFolder()).length === 0;

test("an adapter that is not here: the error lists what was tried and how to fix it", async () => {
  vi.stubEnv("GPUGRAD_ADAPTER", "voodoo 3dfx");
  await expect(requestAdapter()).rejects.toThrow(
    /no WebGPU adapter for GPUGRAD_ADAPTER=voodoo 3dfx[^]*- voodoo 3dfx: [^]*doctor --fix/,
  );
});

test.runIf(linuxX64)("GPUGRAD_ADAPTER=swiftshader gives SwiftShader, whatever else is here", async () => {
  vi.stubEnv("GPUGRAD_ADAPTER", "SwiftShader");
  vi.stubEnv("VK_DRIVER_FILES", process.env["VK_DRIVER_FILES"]); // restored for the tests that follow
  vi.stubEnv("VK_ICD_FILENAMES", process.env["VK_ICD_FILENAMES"]);
  const { adapter, via, description, release } = await requestAdapter();
  expect(adapter.info.architecture).toBe("swiftshader");
  expect(via).toBe("env");
  expect(description).toMatch(/SwiftShader/);
  release();
});

test.runIf(process.platform === "linux")(
  "without a Vulkan loader the error names it, and Dawn isn't asked",
  async () => {
    vi.stubEnv("GPUGRAD_ADAPTER", "lavapipe");
    const dlopen = vi.spyOn(process, "dlopen").mockImplementation(() => {
      throw new Error("libvulkan.so.1: cannot open shared object file: No such file or directory");
    });
    try {
      await expect(requestAdapter()).rejects.toThrow(
        /- lavapipe: the Vulkan loader, libvulkan.so.1, can't be loaded \(`apt-get install libvulkan1`\)\n`pnpm/, // no "Adapters here"
      );
    } finally {
      dlopen.mockRestore();
    }
  },
);

test("a part of the adapter's name, spelled as people or as Dawn would", async () => {
  const { adapter } = await requestAdapter();
  const { device } = adapter.info;
  for (const name of [device, device.toUpperCase().replaceAll("-", " ").trim()]) {
    vi.stubEnv("GPUGRAD_ADAPTER", name);
    expect((await requestAdapter()).adapter.info.device).toBe(device);
  }
});

test.runIf(linuxX64)("a download that fails: npm's words, and nothing in the cache", async () => {
  fakeNpm("echo 'npm error code ENOTFOUND' >&2; exit 1");
  await expect(swiftShaderFolder()).rejects.toThrow(/npm pack @sparticuz\/chromium.*failed: npm error code ENOTFOUND/);
  expect(cacheIsEmpty()).toBe(true);
});

test.runIf(linuxX64)(
  "a download that is not the one expected is refused, and leaves nothing in the cache",
  async () => {
    fakeNpm("echo broken > sparticuz-chromium.tgz");
    await expect(swiftShaderFolder()).rejects.toThrow(/sha512-.*expected sha512-/);
    expect(cacheIsEmpty()).toBe(true);
  },
);

test("setImmediate stays what it is for all but Dawn", async () => {
  throttleDawnPolls();
  throttleDawnPolls(); // again: no second wrapper
  expect(await promisify(setImmediate)("value")).toBe("value");
  expect(await new Promise((resolve) => setImmediate((...args: number[]) => resolve(args), 1, 2))).toEqual([1, 2]);
  const cleared = vi.fn();
  clearImmediate(setImmediate(cleared));
  await promisify(setImmediate)();
  expect(cleared).not.toHaveBeenCalled();
});
