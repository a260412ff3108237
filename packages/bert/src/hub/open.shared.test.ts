import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { readJson } from "@gpugrad/nn";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openWeights } from "../weights/open-weights.ts";
import { shared } from "../../test/shared.ts";
import type { HubError } from "./errors.ts";
import { fetchFolder, fetchFromHub, listHubFiles, openFolder } from "./open.ts";
import type { DownloadProgress, HubOptions } from "../opener.ts";

interface Faults {
  failEvery: number;
  truncate: number;
  corruptEvery: number;
  status: number;
  statusEvery: number;
  latency: number;
  bandwidth: number;
  only: string;
}
interface LocalHub {
  url: string;
  faults: Faults;
  log: { url: string; host: string; status: number; range?: string }[];
  close: () => Promise<void>;
}

const serve = shared("hub/serve.mjs");

/** Against a stand-in for the Hub that holds real repositories and breaks in all the ways that the real one can. */
describe.skipIf(!serve)("the local hub", () => {
  let hub: LocalHub;
  let repositories: string;
  let options: HubOptions & { cacheDir: string };
  let notes: string[];
  const healthy = {
    failEvery: 0,
    truncate: 0,
    corruptEvery: 0,
    status: 0,
    statusEvery: 1,
    latency: 0,
    bandwidth: 0,
    only: "",
  };

  beforeAll(async () => {
    repositories = join(
      process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? tmpdir(), ".cache"),
      "gpugrad-hub",
      "repos",
    );
    const setup = spawnSync("bash", [shared("hub/setup.sh")!, repositories], { encoding: "utf8" });
    if (setup.status !== 0) throw new Error(setup.stderr);
    const { startHub } = (await import(pathToFileURL(serve!).href)) as { startHub: (o: object) => Promise<LocalHub> };
    hub = await startHub({ root: repositories });
  });
  afterAll(() => hub.close());
  beforeEach(async () => {
    const cacheDir = await mkdtemp(join(tmpdir(), "hub-"));
    notes = [];
    const onProgress = (p: DownloadProgress) => void (p.status === "note" && notes.push(p.message ?? ""));
    options = { cacheDir, endpoint: hub.url, token: false, offline: false, retryMs: 5, onProgress };
    hub.log.length = 0;
  });
  afterEach(() => {
    Object.assign(hub.faults, healthy);
    return rm(options.cacheDir, { recursive: true });
  });

  const minilm = "sentence-transformers/all-MiniLM-L6-v2";
  const weightsHash = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
  const get = (repo: string, path: string, more: HubOptions = {}) => fetchFromHub({ repo, path, ...options, ...more });
  const failure = (promise: Promise<unknown>): Promise<HubError> =>
    promise.then(
      () => expect.unreachable(),
      (e: HubError) => e,
    );

  it("fetches a model, its old name, and a data set", async () => {
    const folder = await fetchFolder(minilm, options);
    expect((await readdir(folder)).sort()).toContain("model.safetensors");
    expect(await realpath(join(folder, "model.safetensors"))).toContain(`blobs/${weightsHash}`);
    const old = await openFolder("bert-base-uncased", options);
    expect(await readJson(old, "config.json")).toMatchObject({ hidden_size: 768 });
    const files = await listHubFiles({ repo: "imdb", type: "dataset", ...options });
    expect(files).toContain("plain_text/test-00000-of-00001.parquet");
    const parquet = await fetchFromHub({
      repo: "imdb",
      type: "dataset",
      path: "plain_text/test-00000-of-00001.parquet",
      ...options,
    });
    expect(parquet).toContain("datasets--imdb");
    expect((await readFile(parquet)).subarray(0, 4).toString()).toBe("PAR1");
  });

  it("sends the token to the Hub and not to the CDN", async () => {
    await get("gated/model", "config.json", { token: "hf_friend" });
    await get(minilm, "model.safetensors", { token: "hf_friend" }); // the CDN answers 400 to a token
    expect(hub.log.some((r) => r.host === "cdn" && r.status === 200)).toBe(true);
  });

  it("opens shards lazily", async () => {
    const weights = await openWeights(await openFolder("gpugrad-test/bert-sharded", options));
    expect(weights.has("classifier.weight")).toBe(true);
    await weights.close();
  });

  it.each([
    ["connections that break", { failEvery: 1 }],
    ["answers that end early", { truncate: 5_000_000 }],
    ["a damaged answer", { corruptEvery: 2 }],
    ["a busy server", { status: 503, statusEvery: 3 }],
    ["a slow server", { latency: 50 }],
  ])("survives %s", async (_, faults) => {
    Object.assign(hub.faults, faults);
    const file = { repo: "stanfordnlp/imdb", type: "dataset" as const, path: "plain_text/test-00000-of-00001.parquet" };
    const path = await fetchFromHub({ ...file, ...options });
    const content = await readFile(path);
    expect(content.length).toBeGreaterThan(20_000_000);
    expect(createHash("sha256").update(content).digest("hex")).toBe(basename(await realpath(path)));
    Object.assign(hub.faults, healthy);
    expect(await fetchFromHub({ ...file, ...options, offline: true })).toBe(path);
  });

  it("leaves nothing that looks whole when every answer is damaged", async () => {
    Object.assign(hub.faults, { corruptEvery: 1 });
    for (const path of ["tokenizer_config.json", "model.safetensors"]) {
      expect(await failure(get(minilm, path))).toMatchObject({ code: "damaged" });
      expect((await failure(get(minilm, path, { offline: true }))).code).toBe("offline");
    }
  });

  it("gives up on a server that stays busy", async () => {
    Object.assign(hub.faults, { status: 503, only: "resolve" });
    const error = await failure(get(minilm, "config.json"));
    expect(error.code).toBe("network");
    expect(error.message).toMatch(/answers 503 Service Unavailable \(tried 5 times\)/);
  });

  it("continues after kill -9, and lets several processes fetch at once", async () => {
    Object.assign(hub.faults, { bandwidth: 8_000_000 }); // seconds are left when it is killed
    const wgslLoader = new URL("../../../../scripts/text-loader.mjs", import.meta.url).href;
    const program = `import { fetchFromHub } from ${JSON.stringify(new URL("./open.ts", import.meta.url).href)};
      console.log(await fetchFromHub({ repo: "${minilm}", path: "model.safetensors", ...${JSON.stringify(options)} }));`;
    const start = () =>
      spawn(process.execPath, ["--import", "tsx", "--import", wgslLoader, "--input-type=module", "-e", program], {
        stdio: ["ignore", "pipe", "ignore"],
      });
    const blobs = join(options.cacheDir, "models--sentence-transformers--all-MiniLM-L6-v2", "blobs");
    const partial = async () => {
      const [name] = await readdir(blobs).catch(() => []);
      return name === undefined ? 0 : stat(join(blobs, name)).then((s) => s.size, () => 0); // prettier-ignore
    };
    const first = start();
    while ((await partial()) < 5_000_000) await new Promise((r) => setTimeout(r, 50));
    first.kill("SIGKILL");
    Object.assign(hub.faults, healthy);
    hub.log.length = 0;
    const end = (child: ChildProcess) =>
      new Promise<string>((ok) => {
        let out = "";
        child.stdout?.on("data", (chunk) => (out += String(chunk)));
        child.on("close", () => ok(out.trim()));
      });
    const paths = await Promise.all([start(), start(), start()].map(end));
    expect(new Set(paths).size).toBe(1);
    expect(await realpath(paths[0]!)).toContain(weightsHash);
    expect(await get(minilm, "model.safetensors", { offline: true })).toBe(paths[0]);
    const fromCdn = hub.log.filter((r) => r.host === "cdn" && r.range); // the first process asked without a range
    expect(fromCdn.length).toBe(1);
    expect(Number(/\d+/.exec(fromCdn[0]!.range!)![0])).toBeGreaterThan(5_000_000);
    expect(await readdir(blobs)).toEqual([weightsHash]);
  });

  it("says what the Hub refuses, and why", async () => {
    const codes: [string, string, HubOptions, string][] = [
      ["no/where", "config.json", {}, "repo-not-found"],
      ["no/where", "config.json", { token: "hf_friend" }, "repo-not-found"],
      ["private/model", "config.json", {}, "repo-not-found"],
      ["gated/model", "config.json", {}, "gated"],
      ["gated/model", "config.json", { token: "hf_stranger" }, "gated"],
      [minilm, "config.json", { token: "hf_bad" }, "unauthorized"],
      [minilm, "config.json", { revision: "nine" }, "revision-not-found"],
      ["google-bert/bert-base-uncased", "model.safetensors", {}, "entry-not-found"],
    ];
    for (const [repo, path, more, code] of codes) {
      const error = await failure(get(repo, path, more));
      expect([repo, error.code, error.message.includes(repo)]).toEqual([repo, code, true]);
    }
  });
});
