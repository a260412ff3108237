import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { throttleDawnPolls } from "./dawn-polls.ts";
import * as browser from "./platform.browser.ts";
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

/** A tar archive of these files, as npm and the package make them. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries({ "folder/": undefined, ...files }).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, "latin1");
    header.write(`${(content ?? "").length.toString(8).padStart(11, "0")} `, 124, "latin1");
    header.write(content === undefined ? "5" : "0", 156, "latin1"); // a folder, or a file
    const body = Buffer.from(content ?? "", "latin1");
    return [header, body, Buffer.alloc(-body.length & 511)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const DRIVER = {
  "libvk_swiftshader.so": "driver",
  "vk_swiftshader_icd.json": "{}",
  "libvulkan.so.1": "x".repeat(1000),
};

/** Has npm bring a package that holds `driver`, or whatever else is packed, and says what is expected of it. */
function packageOf(packed: Record<string, Buffer>, more: { sha512?: string; script?: string } = {}) {
  const contents = Object.fromEntries(Object.entries(packed).map(([name, data]) => [name, data.toString("latin1")]));
  const tarball = gzipSync(tar(contents));
  const folder = mkdtempSync(join(tmpdir(), "gpugrad-package-"));
  folders.push(folder);
  writeFileSync(join(folder, "it.tgz"), tarball);
  // npm pack SPEC --pack-destination FOLDER …
  fakeNpm(
    `[ "$1 $2 $3" = "pack driver@7 --pack-destination" ] || exit 1\n${more.script ?? `cp ${folder}/it.tgz "$4/driver-7.tgz"`}`,
  );
  const sha512 = more.sha512 ?? createHash("sha512").update(tarball).digest("base64");
  return { spec: "driver@7", sha512, archive: "package/driver.tar.br" };
}

describe.runIf(linuxX64)("the driver from npm", () => {
  test("is unpacked into a folder named after its version, once", async () => {
    const source = packageOf({ "package/driver.tar.br": brotliCompressSync(tar({ ...DRIVER, "other.txt": "no" })) });
    const folder = await swiftShaderFolder(source);
    expect(folder).toBe(join(cacheFolder(), "swiftshader-7"));
    expect(readdirSync(folder).sort()).toEqual(Object.keys(DRIVER).sort());
    for (const [name, content] of Object.entries(DRIVER))
      expect(readFileSync(join(folder, name), "utf8")).toBe(content);
    expect(readdirSync(cacheFolder())).toEqual(["swiftshader-7"]);
    fakeNpm("exit 1"); // with another cache: put the first one back
    vi.stubEnv("GPUGRAD_CACHE", join(folder, ".."));
    expect(await swiftShaderFolder(source)).toBe(folder);
  });

  test.each([
    ["without the archive", { "package/other": Buffer.from("no") }, /driver@7 has no package\/driver.tar.br/],
    ["without a part of the driver", { "package/driver.tar.br": brotliCompressSync(tar({ "libvulkan.so.1": "x" })) }, /driver@7 has no libvk_swiftshader.so in package\/driver.tar.br/], // prettier-ignore
    ["with a broken archive", { "package/driver.tar.br": brotliCompressSync(Buffer.alloc(512, "z")) }, /the header at byte 0 has no size/], // prettier-ignore
  ])("is refused %s, and nothing stays", async (_, packed, message) => {
    await expect(swiftShaderFolder(packageOf(packed))).rejects.toThrow(message);
    expect(cacheIsEmpty()).toBe(true);
  });

  test("is refused where npm brings nothing, or a tarball with another hash", async () => {
    const packed = { "package/driver.tar.br": brotliCompressSync(tar(DRIVER)) };
    await expect(swiftShaderFolder(packageOf(packed, { script: "true" }))).rejects.toThrow(
      /npm pack driver@7 left no .tgz file in/,
    );
    await expect(swiftShaderFolder(packageOf(packed, { sha512: "other" }))).rejects.toThrow(
      /driver@7 has sha512-.*, expected sha512-other/,
    );
    expect(cacheIsEmpty()).toBe(true);
  });

  test("of another process, which was faster, will do", async () => {
    const source = packageOf({ "package/driver.tar.br": brotliCompressSync(tar(DRIVER)) }, { script: 'mkdir "$4/../swiftshader-7"; exit 1' }); // prettier-ignore
    expect(await swiftShaderFolder(source)).toBe(join(cacheFolder(), "swiftshader-7"));
  });

  test("is for this platform alone", async () => {
    const platform = vi.spyOn(process, "platform", "get").mockReturnValue("darwin");
    await expect(swiftShaderFolder()).rejects.toThrow(/is for linux-x64 only: this is darwin-x64/);
    platform.mockReturnValue("linux");
    const arch = vi.spyOn(process, "arch", "get").mockReturnValue("arm64");
    await expect(swiftShaderFolder()).rejects.toThrow(/this is linux-arm64/);
    for (const spy of [platform, arch]) spy.mockRestore();
  });
});

test("the cache folder follows GPUGRAD_CACHE, else XDG_CACHE_HOME, else the home folder", () => {
  vi.stubEnv("GPUGRAD_CACHE", "/one");
  vi.stubEnv("XDG_CACHE_HOME", "/two");
  expect(cacheFolder()).toBe("/one");
  vi.stubEnv("GPUGRAD_CACHE", "");
  expect(cacheFolder()).toBe(join("/two", "gpugrad"));
  vi.stubEnv("XDG_CACHE_HOME", "");
  expect(cacheFolder()).toBe(join(homedir(), ".cache", "gpugrad"));
});

describe("in a browser", () => {
  afterEach(() => vi.unstubAllGlobals());
  const info = { description: "", vendor: "acme", architecture: "one" };
  const offer = (adapter: unknown) => {
    const asked = vi.fn(() => Promise.resolve(adapter));
    vi.stubGlobal("navigator", { gpu: { requestAdapter: asked } });
    return asked;
  };

  test("the fastest adapter is asked for, and described by what it says of itself", async () => {
    const asked = offer({ info });
    const choice = await browser.requestAdapter();
    expect(asked).toHaveBeenCalledWith({ powerPreference: "high-performance" });
    expect([choice.via, choice.description, choice.tried]).toEqual(["browser", "acme one", []]);
    expect(choice.release()).toBeUndefined();
    for (const [change, want] of [
      [{ description: "Card" }, "Card"],
      [{ vendor: "" }, "one"],
      [{ vendor: "", architecture: "" }, "unnamed adapter"],
    ] as const) {
      // prettier-ignore
      offer({ info: { ...info, ...change } });
      expect((await browser.requestAdapter()).description).toBe(want);
    }
  });

  test("where WebGPU or an adapter is missing, the error says what to do", async () => {
    offer(null);
    await expect(browser.requestAdapter()).rejects.toThrow(/navigator.gpu offers no adapter/);
    for (const missing of [undefined, {}]) {
      vi.stubGlobal("navigator", missing);
      vi.stubGlobal("isSecureContext", true);
      await expect(browser.requestAdapter()).rejects.toThrow(/has no navigator.gpu. WebGPU is on by default/);
      vi.stubGlobal("isSecureContext", false);
      await expect(browser.requestAdapter()).rejects.toThrow(/navigator.gpu. This page is not a secure context/);
    }
  });

  test("Firefox is hastened by empty submits while something is pending, others aren't", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const submit = vi.fn();
    const gpu = { queue: { submit } } as unknown as GPUDevice;
    const of = (userAgent: string) => {
      vi.stubGlobal("navigator", { userAgent });
      const stop = browser.hasten(gpu);
      vi.advanceTimersByTime(20);
      stop();
    };
    of("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36");
    expect(submit).not.toHaveBeenCalled();
    of("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:147.0) Gecko/20100101 Firefox/147.0");
    const { length } = submit.mock.calls;
    expect(length).toBeGreaterThan(3);
    expect(submit).toHaveBeenLastCalledWith([]);
    vi.advanceTimersByTime(20);
    expect(submit).toHaveBeenCalledTimes(length);
  });

  test("there are no variables and no cache folder; the context that began last counts", async () => {
    expect([browser.environment("PATH"), await browser.readTuning("any")]).toEqual([undefined, undefined]);
    const current = browser.contextVariable<string>();
    expect(current.getStore()).toBeUndefined();
    expect(current.run("a", () => [current.run("b", () => current.getStore()), current.getStore()])).toEqual([
      "b",
      "a",
    ]);
    expect(() => current.run("c", () => { throw new Error("from within"); })).toThrow("from within"); // prettier-ignore
    expect(current.getStore()).toBeUndefined();
    let end = (): void => undefined;
    const first = current.run("first", () => new Promise<void>((resolve) => (end = resolve)));
    const second = current.run("second", async () => current.getStore());
    expect(current.getStore()).toBe("second");
    expect(await second).toBe("second");
    expect(current.getStore()).toBe("first");
    end();
    await first;
    expect(current.getStore()).toBeUndefined();
  });
});

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
