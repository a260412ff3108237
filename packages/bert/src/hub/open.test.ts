import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, readlink, realpath, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJson } from "@gpugrad/nn";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { HubError } from "./errors.ts";
import { fetchFolder, fetchFromHub, listHubFiles, openFolder } from "./open.ts";
import type { DownloadProgress, HubOptions } from "../opener.ts";

const commit = "c0ffee".padEnd(40, "0");
const config = Buffer.from('{"hidden_size": 8}\n');
const weights = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251));
const sha256 = createHash("sha256").update(weights).digest("hex");
const blobId = createHash("sha1").update(`blob ${config.length}\0`).update(config).digest("hex");

/** What goes wrong, one entry per answer of the CDN: break off after a number of bytes, or flip a bit. */
let faults: ("corrupt" | number)[] = [];
let requests: { url: string; range: string | undefined; authorization: string | undefined; cdn: boolean }[] = [];
let busy = 0;
const json = (response: ServerResponse, body: unknown) =>
  response.setHeader("Content-Type", "application/json").end(JSON.stringify(body));

/** The few requests of the Hub's protocol that a download makes; the weights lie on another origin. */
function answer(request: IncomingMessage, response: ServerResponse, cdn: boolean) {
  const url = request.url ?? "";
  const { range, authorization } = request.headers;
  requests.push({ url, range, authorization, cdn });
  if (busy > 0 && busy--) return response.writeHead(503, { "Retry-After": "0" }).end();
  if (url.startsWith("/api/models/a/b/revision/main")) return json(response, { _id: "1", id: "a/b", sha: commit });
  if (url.startsWith("/api/models/a/b/revision/"))
    return response.writeHead(404, { "X-Error-Code": "RevisionNotFound" }).end();
  if (url.startsWith("/api/models/a/b/tree/") || url.startsWith("/api/models/a/b/paths-info/")) {
    const files = [
      { type: "file", path: "config.json", size: config.length, oid: blobId },
      {
        type: "file",
        path: "model.safetensors",
        size: weights.length,
        oid: "0",
        lfs: { oid: sha256, size: weights.length, pointerSize: 1 },
      },
    ];
    if (request.method === "GET") return json(response, files);
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    return request.on("end", () => {
      const { paths } = JSON.parse(body) as { paths: string[] };
      json(
        response,
        files.filter((f) => paths.includes(f.path)),
      );
    });
  }
  if (url === `/a/b/resolve/${commit}/config.json`) return response.end(config);
  if (url === `/a/b/resolve/${commit}/model.safetensors`)
    return response
      .writeHead(302, { Location: `http://localhost:${(cdnServer.address() as AddressInfo).port}/blob` })
      .end();
  if (cdn && authorization) return response.writeHead(400).end();
  if (cdn) {
    const start = range ? Number(/bytes=(\d+)-/.exec(range)![1]) : 0;
    const body = Buffer.from(weights.subarray(start));
    const fault = faults.shift();
    if (fault === "corrupt") body[100]! ^= 1;
    response.writeHead(range ? 206 : 200, { "Content-Length": body.length });
    if (typeof fault === "number") return response.write(body.subarray(0, fault), () => response.destroy());
    return response.end(body);
  }
  return response.writeHead(401, { "X-Error-Code": "RepoNotFound" }).end();
}

const server: Server = createServer((request, response) => answer(request, response, false));
const cdnServer: Server = createServer((request, response) => answer(request, response, true));
let options: HubOptions;
let progress: DownloadProgress[];
beforeAll(async () => {
  for (const s of [server, cdnServer]) await new Promise<void>((ok) => s.listen(0, "localhost", ok));
});
afterAll(() => [server, cdnServer].forEach((s) => (s.closeAllConnections(), s.close())));
beforeEach(async () => {
  [faults, requests, progress, busy] = [[], [], [], 0];
  const cacheDir = await mkdtemp(join(tmpdir(), "hub-"));
  const endpoint = `http://localhost:${(server.address() as AddressInfo).port}`;
  options = { cacheDir, endpoint, token: "hf_x", offline: false, retryMs: 5, onProgress: (p) => progress.push(p) };
  return () => rm(cacheDir, { recursive: true });
});
const fetchWeights = (more: HubOptions = {}) =>
  fetchFromHub({ repo: "a/b", path: "model.safetensors", ...options, ...more });
const failure = (promise: Promise<unknown>): Promise<HubError> =>
  promise.then(
    () => expect.unreachable(),
    (e: HubError) => e,
  );
const blobs = () => readdir(join(options.cacheDir!, "models--a--b", "blobs"));

describe("a download", () => {
  it("lands in the standard cache layout, once, and keeps the token from the CDN", async () => {
    const path = await fetchWeights();
    expect(path).toBe(join(options.cacheDir!, "models--a--b", "snapshots", commit, "model.safetensors"));
    expect(await readlink(path)).toBe(join("..", "..", "blobs", sha256));
    expect(await readFile(join(options.cacheDir!, "models--a--b", "refs", "main"), "utf8")).toBe(commit);
    expect((await readFile(path)).equals(weights)).toBe(true);
    expect(requests.filter((r) => r.cdn).map((r) => r.authorization)).toEqual([undefined]);
    expect(requests.filter((r) => !r.cdn).every((r) => r.authorization === "Bearer hf_x")).toBe(true);
    expect(progress.at(-1)).toEqual({
      repo: "a/b",
      file: "model.safetensors",
      loaded: 300_000,
      total: 300_000,
      status: "done",
    });
    await fetchWeights();
    expect(requests.filter((r) => r.cdn).length).toBe(1);
    expect(await blobs()).toEqual([sha256]);
  });

  it("resumes where the connection broke", async () => {
    faults = [100_000, 50_000];
    const path = await fetchWeights();
    expect((await readFile(path)).equals(weights)).toBe(true);
    const ranges = requests.filter((r) => r.cdn).map((r) => Number(/\d+/.exec(r.range ?? "0")![0]));
    expect(ranges.length).toBe(3);
    expect(ranges[1]).toBeGreaterThan(0);
    expect(ranges[2]).toBeGreaterThan(ranges[1]!);
    expect(progress.some((p) => p.status === "note" && p.message?.includes("continuing from byte"))).toBe(true);
  });

  it("starts over when the hash is wrong, and gives up without leaving a file", async () => {
    faults = ["corrupt"];
    expect((await readFile(await fetchWeights())).equals(weights)).toBe(true);
    await rm(options.cacheDir!, { recursive: true });
    faults = ["corrupt", "corrupt", "corrupt"];
    const error = await failure(fetchWeights());
    expect(error).toMatchObject({ name: "HubError", code: "damaged" });
    expect(error.message).toMatch(/a\/b: model.safetensors: arrived damaged 3 times: its hash is/);
    expect(await blobs()).toEqual([]);
    expect(progress.at(-1)?.status).toBe("failed");
  });

  it("gives up after tries that bring nothing, and takes up again what an earlier process left", async () => {
    faults = [100_000, 0, 0, 0, 0, 0, 0];
    expect((await failure(fetchWeights())).message).toMatch(
      /a\/b: model.safetensors: .*6 times in a row.*kept: run it again/,
    );
    const [partial] = await blobs();
    expect(partial).toMatch(/\.incomplete$/);
    requests = [];
    expect((await readFile(await fetchWeights())).equals(weights)).toBe(true);
    expect(requests.filter((r) => r.cdn).map((r) => r.range)).toEqual([expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect(await blobs()).toEqual([sha256]);
  });

  it("waits for a rival, and takes over when it has died", async () => {
    const both = await Promise.all([fetchWeights(), fetchWeights(), fetchWeights()]);
    expect(new Set(both).size).toBe(1);
    expect(requests.filter((r) => r.cdn).length).toBe(1);

    const blob = await realpath(both[0]);
    const dead = `${blob}.dead.incomplete`;
    await rm(blob);
    await writeFile(dead, weights.subarray(0, 5000));
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(dead, longAgo, longAgo);
    expect((await readFile(await fetchWeights())).equals(weights)).toBe(true);
    expect(requests.at(-1)?.range).toBe("bytes=5000-");
  });

  it("tries again when the server is busy", async () => {
    busy = 2;
    expect((await readFile(await fetchWeights())).equals(weights)).toBe(true);
  });

  it("does not trust a damaged file in the cache", async () => {
    const path = await fetchWeights();
    await truncate(await realpath(path), 1000);
    const error = await failure(fetchWeights({ offline: true }));
    expect(error.code).toBe("damaged");
    expect(error.message).toMatch(/model.safetensors: the cached file is damaged/);
    expect((await readFile(await fetchWeights())).equals(weights)).toBe(true);
  });
});

describe("names and places", () => {
  it("uses the cache alone when offline or unreachable", async () => {
    expect((await failure(fetchWeights({ offline: true }))).code).toBe("offline");
    const path = await fetchWeights();
    requests = [];
    expect(await fetchWeights({ offline: true })).toBe(path);
    expect(await listHubFiles({ repo: "a/b", ...options, offline: true })).toEqual(["model.safetensors"]);
    expect(
      (await failure(fetchFromHub({ repo: "a/b", path: "config.json", ...options, offline: true }))).message,
    ).toMatch(/a\/b: config.json is not in .*HF_HUB_OFFLINE/);
    expect(await fetchFromHub({ repo: "a/b", path: "model.safetensors", ...options, revision: commit })).toBe(path);
    expect(requests).toEqual([]);
  });

  it("opens folders, fetches by pattern, and leaves out what does not exist", async () => {
    const folder = await openFolder("a/b", options);
    expect(await readJson(folder, "config.json")).toEqual({ hidden_size: 8 });
    expect(await folder.open("tokenizer.json")).toBeUndefined();
    const local = await fetchFolder("a/b", options);
    expect((await readdir(local)).sort()).toEqual(["config.json", "model.safetensors"]);
    expect(await fetchFolder(local)).toBe(local);
    expect(await readJson(await openFolder(local), "config.json")).toEqual({ hidden_size: 8 });
    expect(await (await openFolder(local)).open("none")).toBeUndefined();
    expect((await failure(fetchFolder("a/b", { ...options, files: ["*.bin"] }))).code).toBe("entry-not-found");
  });

  it("says what is wrong", async () => {
    expect(await failure(fetchWeights({ revision: "v9" }))).toMatchObject({ code: "revision-not-found" });
    const get = (repo: string, path: string) => failure(fetchFromHub({ ...options, repo, path }));
    expect((await get("a/b", "none.json")).message).toMatch(/a\/b: no file none.json at revision main\. See http/);
    expect((await get("a/c", "x")).message).toMatch(/a\/c: no such model at http.*Check the spelling/);
    expect((await get("a/b", "../../x")).message).toMatch(/not a path inside of a repository/);
    expect((await get("../b", "x")).message).toMatch(/not the id of a repository/);
    expect((await failure(openFolder("./no/such/folder"))).message).toMatch(/no such folder/);
  });

  it("reports an unreachable hub, with the address", async () => {
    const error = await failure(fetchWeights({ endpoint: "http://localhost:9//" }));
    expect(error.code).toBe("network");
    expect(error.message).toMatch(/a\/b: cannot reach http:\/\/localhost:9: .*Check the network and HF_ENDPOINT/);
  });
});
