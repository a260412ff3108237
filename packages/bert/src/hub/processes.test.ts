import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { blobIdOf, startFakeHub } from "../../test/fake-hub.ts";
import { fetchFromHub } from "./open.ts";

const content = Buffer.alloc(
  3_000_000,
  Uint8Array.from({ length: 251 }, (_, i) => (i * 11) % 251),
);
const firstPart = 1_000_000;

let hub: Awaited<ReturnType<typeof startFakeHub>>;
let cacheDir: string;
let children: ChildProcess[];
/** Downloads that have begun; the rest of each answer comes when this says so. */
let begun: number;
let rest: Promise<void>;
let release: () => void;
beforeEach(async () => {
  hub = await startFakeHub({ "weights.bin": content });
  cacheDir = await mkdtemp(join(tmpdir(), "hub-processes-"));
  [children, begun] = [[], 0];
  rest = new Promise((resolve) => (release = resolve));
  hub.lies.answer = (request, response) => {
    if (!request.url!.includes("/resolve/")) return false;
    begun++;
    const start = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
    response.writeHead(start > 0 ? 206 : 200).write(content.subarray(start, start + firstPart));
    void rest.then(() => response.end(content.subarray(start + firstPart)));
    return true;
  };
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  hub.close();
  return rm(cacheDir, { recursive: true });
});

const request = () => ({ repo: "a/b", path: "weights.bin", endpoint: hub.endpoint, cacheDir, token: false, retryMs: 5 }) as const; // prettier-ignore

/** A process that downloads the file and reads it at once; gives its hash, or how it failed. */
function download(): { child: ChildProcess; ended: Promise<string> } {
  const loader = new URL("../../../../scripts/text-loader.mjs", import.meta.url).href;
  const program = `import { createHash } from "node:crypto";
    import { readFileSync } from "node:fs";
    import { fetchFromHub } from ${JSON.stringify(new URL("./open.ts", import.meta.url).href)};
    const content = readFileSync(await fetchFromHub({ ...${JSON.stringify(request())}, onProgress: () => {} }));
    console.log(createHash("sha1").update("blob " + content.length + "\\0").update(content).digest("hex"));`;
  const args = ["--import", "tsx", "--import", loader, "--input-type=module", "-e", program];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (out += String(piece)));
  return { child, ended: new Promise((resolve) => child.on("close", () => resolve(out.trim()))) };
}
const until = async (holds: () => boolean | Promise<boolean>) => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
};
const blobs = () => readdir(join(cacheDir, "models--a--b", "blobs"));

it("several processes fetch a file once, and each reads all of it", async () => {
  const all = [download(), download(), download(), download()];
  await until(() => hub.requests.filter(({ url }) => url.includes("/paths-info/")).length === all.length);
  release();
  expect(await Promise.all(all.map(({ ended }) => ended))).toEqual(all.map(() => blobIdOf(content)));
  expect(begun).toBe(1);
  expect(await blobs()).toEqual([blobIdOf(content)]);
}, 60_000);

it.skipIf(process.platform === "win32")(
  "a process that is paused loses its download to another one, and takes that one's",
  async () => {
    const { child, ended } = download();
    await until(() => begun === 1);
    await until(async () => (await readFile(join(cacheDir, "models--a--b", "blobs", (await blobs())[0]!))).length === firstPart); // prettier-ignore
    child.kill("SIGSTOP");
    release();
    const path = await fetchFromHub({ ...request(), onProgress: () => undefined }); // waits until the other is given up
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(hub.requests.at(-1)?.range).toBe(`bytes=${firstPart}-`);
    child.kill("SIGCONT"); // what it still writes goes nowhere
    expect(await ended).toBe(blobIdOf(content));
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(await blobs()).toEqual([blobIdOf(content)]);
  },
  60_000,
);
