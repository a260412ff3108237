import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

/** SwiftShader is a Vulkan driver for the CPU. This npm package carries it, and a Vulkan loader, for Linux x64. */
const SOURCE = {
  spec: "@sparticuz/chromium@153.0.0",
  sha512: "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==",
  archive: "package/bin/swiftshader.tar.br",
};
const files = ["libvk_swiftshader.so", "vk_swiftshader_icd.json", "libvulkan.so.1"];

/** The folder of everything that gpugrad fetches for itself: `GPUGRAD_CACHE`, or `gpugrad` in the XDG cache folder. */
export function cacheFolder(): string {
  const { GPUGRAD_CACHE, XDG_CACHE_HOME } = process.env;
  return GPUGRAD_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "gpugrad");
}

/**
 * The folder that holds SwiftShader's driver and loader, fetched from npm (67 MB) the first time.
 *
 * @param source the package, the SHA-512 of its tarball, and the archive in it
 * @throws if this machine is not Linux on x64, or if the package can't be fetched or is not the one expected.
 */
export async function swiftShaderFolder(source = SOURCE): Promise<string> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`SwiftShader from npm is for linux-x64 only: this is ${process.platform}-${process.arch}`);
  }
  const folder = join(cacheFolder(), source.spec.replace(/.*@/, "swiftshader-"));
  if (existsSync(folder)) return folder;

  // Fetched and unpacked aside, then renamed: a folder by the final name is always whole.
  const aside = `${folder}.${randomUUID()}`;
  await mkdir(aside, { recursive: true });
  try {
    const driver = untar(brotliDecompressSync(await fetchArchive(source, aside)));
    for (const name of files) {
      const data = driver.get(name);
      if (!data) throw new Error(`${source.spec} has no ${name} in ${source.archive}`);
      await writeFile(join(aside, name), data);
    }
    await rename(aside, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process was faster, and its folder will do
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return folder;
}

/** Points the Vulkan loader at SwiftShader alone, and brings a loader where the system has none. */
export function useSwiftShader(folder: string): void {
  const manifest = join(folder, "vk_swiftshader_icd.json");
  process.env["VK_DRIVER_FILES"] = manifest;
  process.env["VK_ICD_FILENAMES"] = manifest; // the same, for loaders before 1.3.207
  try {
    // Dawn asks for "libvulkan.so.1", and dlopen() answers with the library of that name that is already there. Node
    // refuses it for not being an addon; RTLD_NODELETE keeps it loaded nevertheless.
    const RTLD_NOW = 0x2;
    const RTLD_NODELETE = 0x1000;
    process.dlopen({ exports: {} }, join(folder, "libvulkan.so.1"), RTLD_NOW | RTLD_NODELETE);
  } catch {
    // Always thrown. Whether it served is seen when Dawn looks for adapters.
  }
}

/** Downloads the package with npm into `folder`, checks it, and returns the archive in it that holds the driver. */
async function fetchArchive(source: typeof SOURCE, folder: string): Promise<Buffer> {
  const npm = ["pack", source.spec, "--pack-destination", folder, "--loglevel", "error"];
  // npm lies beside node, also where PATH does not have it.
  const env = {
    ...process.env,
    PATH: [process.env["PATH"], dirname(process.execPath)].filter(Boolean).join(delimiter),
  };
  await new Promise<void>((resolve, reject) => {
    execFile("npm", npm, { cwd: folder, env }, (error, _stdout, stderr) => {
      if (error) reject(new Error(`npm ${npm.slice(0, 2).join(" ")} failed: ${stderr.trim() || error.message}`));
      else resolve();
    });
  });
  const name = (await readdir(folder)).find((file) => file.endsWith(".tgz"));
  if (!name) throw new Error(`npm pack ${source.spec} left no .tgz file in ${folder}`);
  const tarball = await readFile(join(folder, name));
  await rm(join(folder, name));
  const sha512 = createHash("sha512").update(tarball).digest("base64");
  if (sha512 !== source.sha512)
    throw new Error(`${source.spec} has sha512-${sha512}, expected sha512-${source.sha512}`);
  const archive = untar(gunzipSync(tarball)).get(source.archive);
  if (!archive) throw new Error(`${source.spec} has no ${source.archive}`);
  return archive;
}

/** The regular files of a tar archive by name: 512-byte headers (name at 0, octal size at 124, type at 156), each followed by its data. */
function untar(archive: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  const text = (start: number, length: number) =>
    archive
      .toString("latin1", start, start + length)
      .replace(/\0.*/s, "")
      .trim();
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    if (!(size >= 0)) throw new Error(`tar: the header at byte ${at} has no size: the archive is broken`);
    const type = text(at + 156, 1);
    if (type === "0" || type === "") entries.set(text(at, 100), archive.subarray(at + 512, at + 512 + size));
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return entries;
}
