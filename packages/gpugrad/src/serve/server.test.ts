import { DeviceLostError } from "@gpugrad/tensor";
import type { FastifyInstance } from "fastify";
import { request as httpRequest } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { TextRow } from "../text/input-rows.ts";
import type { Encoded } from "../text/text-model.ts";
import type { TextModel } from "../text/text-model.ts";
import { createServer, type ServeOptions } from "./server.ts";

let app: FastifyInstance | undefined;
/** Releases batches that a failed test has left waiting: a server that closes would wait for them. */
let release = (): void => undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  release();
  await app?.close();
});

/** Waits for something that will come, however slow the machine is. */
const until = (isSo: () => boolean | Promise<boolean>) => vi.waitUntil(isSo, { timeout: 30_000 });

/** A model whose two logits are a text's length and 0, and whose batches wait for `gate`. */
async function start(options: Partial<ServeOptions> = {}) {
  const state = { gate: Promise.resolve(), encoding: Promise.resolve(), encoded: 0, batches: [] as number[] };
  const model = {
    isReady: true,
    rebuilds: 0,
    config: { problem_type: undefined, num_labels: 2, id2label: { 0: "long", 1: "short" } },
    maxLength: 512,
    encode: async (rows: readonly TextRow[]) => {
      await state.encoding;
      state.encoded += rows.length;
      return rows.map(({ text, text_pair = "" }) => {
        const tokens = Array.from(text + text_pair, () => 1);
        return { input_ids: tokens, token_type_ids: tokens };
      });
    },
    async compute(batch: readonly Encoded[]) {
      state.batches.push(batch.length);
      await state.gate;
      return batch.map(({ input_ids }) => Float32Array.of(input_ids.length, 0));
    },
    join: ([logits]: readonly Float32Array[]) => logits!,
  };
  const limits = { maxBatchSize: 4, maxWait: 0, maxQueueSize: 4, maxClientBatchSize: 3, maxBodySize: 500 };
  const origins = { host: "127.0.0.1", allowedHosts: [], corsOrigin: [] };
  app = createServer(model as unknown as TextModel, { ...limits, ...origins, ...options });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const post = (body: unknown, path = "/predict") =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const ask = async (text: string): Promise<number> => (await post({ inputs: text })).status;
  const metric = async (name: string): Promise<number> => {
    const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
    return Number(lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1]);
  };
  /** Batches wait until the returned function is called. */
  const close = (): (() => void) => {
    let open!: () => void;
    state.gate = new Promise((resolve) => (release = open = resolve));
    return open;
  };
  return { app, url, state, model, post, ask, metric, close, port: (app.server.address() as AddressInfo).port };
}

const p = (logit: number): number => 1 / (1 + Math.exp(-logit));

describe("POST /predict", () => {
  it.each([
    ["a text", { inputs: "abc" }, [["long", "short", p(3)]]],
    ["an empty text", { inputs: "" }, [["long", "short", 0.5]]],
    ["texts, in their order", { inputs: ["abcd", "a"] }, [["long", "short", p(4)], ["long", "short", p(1)]]], // prettier-ignore
    ["a pair", { inputs: { text: "a", text_pair: "b" } }, [["long", "short", p(2)]]],
    ["no texts", { inputs: [] }, []],
    ["top_k", { inputs: "abc", parameters: { top_k: 1 } }, [["long", p(3)]]],
    ["more than all", { inputs: "a", parameters: { top_k: 9 } }, [["long", "short", p(1)]]],
    ["nulls", { inputs: "a", parameters: { top_k: null, function_to_apply: null } }, [["long", "short", p(1)]]],
    ["scores as they are", { inputs: "abc", parameters: { function_to_apply: "none" } }, [["long", "short", 3]]],
  ])("answers %s", async (_, body, want) => {
    const { post } = await start();
    for (const path of ["/predict", "/"]) {
      const response = await post(body, path);
      expect(response.status).toBe(200);
      const rows = (await response.json()) as { label: string; score: number }[][];
      expect(rows.map((row) => row.map(({ label }) => label))).toEqual(want.map((row) => row.slice(0, -1)));
      for (const [i, [best]] of rows.entries()) expect(best!.score).toBeCloseTo(want[i]!.at(-1) as number, 6);
    }
  });

  it.each([
    ["not JSON", '{"inputs": ', 400, "request", /JSON/],
    ["no body", "", 400, "request", /empty/],
    ["a list", ["abc"], 422, "validation", /the body is a list.*\{"inputs"/],
    ["no inputs", { input: "abc" }, 422, "validation", /inputs is missing/],
    ["a number", { inputs: 3 }, 422, "validation", /inputs is 3\. It has to be a text/],
    ["a list in a list", { inputs: ["a", ["b"]] }, 422, "validation", /inputs\[1\] is a list/],
    ["half a pair", { inputs: { text_pair: "a" } }, 422, "validation", /inputs\.text is missing/],
    ["a wrong pair", { inputs: [{ text: "a", text_pair: 1 }] }, 422, "validation", /inputs\[0\]\.text_pair is 1/],
    ["top_k 0", { inputs: "a", parameters: { top_k: 0 } }, 422, "validation", /parameters\.top_k is 0/],
    ["top_k 1.5", { inputs: "a", parameters: { top_k: 1.5 } }, 422, "validation", /whole number/],
    [
      "an unknown function",
      { inputs: "a", parameters: { function_to_apply: "max" } },
      422,
      "validation",
      /"max".*none/,
    ],
    ["an unknown parameter", { inputs: "a", parameters: { topk: 1 } }, 422, "validation", /topk.*Known are top_k/],
    ["too many texts", { inputs: ["a", "b", "c", "d"] }, 413, "too_many_inputs", /4 texts; a request may hold 3/],
    ["what is nested deep", `{"inputs": ${"[".repeat(200)}`, 400, "request", /more than 16 levels deep/],
    ["nested parameters", { inputs: "a", parameters: { top_k: { a: [] } } }, 422, "validation", /top_k is an object/],
    ["too large a body", { inputs: "a".repeat(500) }, 413, "too_large", /more than 500 bytes/],
  ])("refuses %s", async (_, body, status, type, message) => {
    const { post, state } = await start();
    const response = await post(body);
    const { error, error_type } = (await response.json()) as { error: string; error_type: string };
    expect([response.status, error_type]).toEqual([status, type]);
    expect(error).toMatch(message);
    expect(state.batches).toEqual([]);
  });

  it("looks for the number and depth of values outside of texts only", async () => {
    const { post } = await start({ maxBodySize: 2000 });
    const text = `${"[{,".repeat(30)}\\"\\\\${"[{,".repeat(30)}"`;
    expect((await post({ inputs: text })).status).toBe(200);
    expect((await post(`{"inputs": "\\\\", "x": ${"[".repeat(17)}`)).status).toBe(400);
    const many = await post({ inputs: "a", x: Array(300).fill(1) });
    expect([many.status, await many.text()]).toEqual([413, expect.stringMatching(/more than 280 values/)]);
  });

  it("refuses what is not JSON by its type, and other addresses", async () => {
    const { url } = await start();
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const headers = { "content-type": type };
      expect((await fetch(`${url}/predict`, { method: "POST", headers, body: '{"inputs": "a"}' })).status).toBe(415);
    }
    const form = await fetch(`${url}/predict`, { method: "POST", body: new URLSearchParams({ inputs: "a" }) });
    expect([form.status, await form.text()]).toEqual([
      415,
      expect.stringMatching(/Send JSON, with Content-Type: application\/json/),
    ]);
    const nowhere = await fetch(`${url}/predictions`);
    expect([nowhere.status, await nowhere.text()]).toEqual([404, expect.stringMatching(/There are POST \/predict/)]);
  });

  it("computes together what comes together", async () => {
    const { ask, state, metric, close } = await start();
    const open = close();
    const first = ask("a");
    await until(() => state.batches.length === 1);
    const others = ["b", "cc", "ddd", "e"].map(ask);
    await until(async () => (await metric("gpugrad_queue_size")) === 4);
    open();
    expect(await Promise.all([first, ...others])).toEqual([200, 200, 200, 200, 200]);
    expect(state.batches).toEqual([1, 4]);
    expect(await metric('gpugrad_batch_size_bucket{le="1"}')).toBe(1);
    expect(await metric("gpugrad_batch_size_sum")).toBe(5);
    expect(await metric('gpugrad_tokens_total{kind="text"}')).toBe(8);
    expect(await metric('gpugrad_tokens_total{kind="padding"}')).toBe(3 * 4 - 7);
    expect(await metric("gpugrad_queue_size")).toBe(0);
  });

  it("refuses with 429 what the queue has no room for, before it is tokenized", async () => {
    const { ask, post, state, metric, close } = await start();
    const open = close();
    const first = ask("a");
    await until(() => state.batches.length === 1);
    const waiting = ["b", "c", "d"].map(ask);
    await until(async () => (await metric("gpugrad_queue_size")) === 3);
    const refused = await post({ inputs: ["e", "f"] });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await refused.json()).toMatchObject({ error_type: "overloaded" });
    expect(state.encoded).toBe(4);
    open();
    expect(await Promise.all([first, ...waiting])).toEqual([200, 200, 200, 200]);
    expect(await ask("e")).toBe(200);
    expect(await metric('gpugrad_requests_total{route="/predict",status="429"}')).toBe(1);
  });

  it("answers 500 where the device fails, and continues", async () => {
    const { post, ask, state } = await start();
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    state.gate = Promise.reject(new Error("the device is lost"));
    state.gate.catch(() => undefined); // nobody waits for it yet
    const response = await post({ inputs: "a" });
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: "the device is lost", error_type: "backend" });
    expect(said).toHaveBeenCalledWith(expect.stringMatching(/gpugrad serve: Error: the device is lost/));
    state.gate = Promise.resolve();
    expect(await ask("a")).toBe(200);
  });

  it("forgets whoever hangs up", async () => {
    const { ask, state, port, metric, close } = await start();
    const open = close();
    const first = ask("a");
    await until(() => state.batches.length === 1);
    const leave = httpRequest({
      port,
      path: "/predict",
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    leave.on("error", () => undefined).end('{"inputs": ["b", "c", "d"]}');
    await until(async () => (await metric("gpugrad_queue_size")) === 3);
    leave.destroy();
    await until(async () => (await metric("gpugrad_queue_size")) === 0);
    open();
    expect(await first).toBe(200);
    expect(state.batches).toEqual([1]);
    expect(await metric('gpugrad_requests_total{route="/predict",status="499"}')).toBe(1);
  });
});

it("answers 503 while the device is lost, says so once for each loss, and counts new devices", async () => {
  const { model, state, post, ask, metric } = await start();
  const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const lose = (): void => {
    state.gate = Promise.reject(new DeviceLostError("no GPU far and wide"));
    state.gate.catch(() => undefined);
  };
  lose();
  const response = await post({ inputs: "a" });
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await response.json()).toEqual({
    error: expect.stringMatching(/lost.*Try again/) as string,
    error_type: "device_lost",
  });
  expect(await ask("b")).toBe(503);
  expect(said.mock.calls).toEqual([["gpugrad serve: no GPU far and wide\n"]]);
  expect(await metric("gpugrad_device_rebuilds_total")).toBe(0);
  state.gate = Promise.resolve();
  model.rebuilds = 1;
  expect(await ask("c")).toBe(200);
  expect(await metric("gpugrad_device_rebuilds_total")).toBe(1);
  lose();
  expect(await ask("d")).toBe(503);
  expect(said).toHaveBeenCalledTimes(2);
});

it("GET /health goes by the device, and brings it back where nobody else asks", async () => {
  const { url, model, state, metric, close } = await start();
  const health = async () => {
    const response = await fetch(`${url}/health`);
    return [response.status, await response.text()];
  };
  expect(await health()).toEqual([200, '{"status":"ok"}']);
  expect(state.batches).toEqual([]);
  model.isReady = false;
  const open = close();
  for (let i = 0; i < 5; i++) expect(await health()).toEqual([503, '{"status":"the device failed"}']);
  expect(await metric("gpugrad_queue_size")).toBe(1); // one under way, one waits
  model.isReady = true;
  open();
  await until(() => state.batches.length === 2);
  expect(await health()).toEqual([200, '{"status":"ok"}']);
});

it("GET /metrics has requests by route and status, their times, and the process", async () => {
  const { url, post, metric } = await start();
  for (const body of [{ inputs: "a" }, { inputs: "b" }, { inputs: 1 }]) await post(body);
  await fetch(`${url}/x/${Math.random()}`);
  expect((await fetch(`${url}/metrics`)).headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(await metric('gpugrad_requests_total{route="/predict",status="200"}')).toBe(2);
  expect(await metric('gpugrad_requests_total{route="/predict",status="422"}')).toBe(1);
  expect(await metric('gpugrad_requests_total{route="unknown",status="404"}')).toBe(1);
  expect(await metric('gpugrad_request_duration_seconds_count{route="/predict"}')).toBe(3);
  expect(await metric('gpugrad_request_duration_seconds_sum{route="/predict"}')).toBeGreaterThan(0);
  expect(await metric("gpugrad_queue_duration_seconds_count")).toBe(2);
  expect(await metric("process_resident_memory_bytes")).toBeGreaterThan(1e6);
});

it("answers 500 for an answer that is not a number, and names the input", async () => {
  const { post, model } = await start();
  model.compute = (batch) => Promise.resolve(batch.map((_, i) => Float32Array.of(i === 1 ? NaN : 1, 0)));
  const response = await post({ inputs: ["a", "b"] });
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual({
    error: "inputs[1]: the model's answer is NaN or infinite.",
    error_type: "not_finite",
  });
  expect((await post({ inputs: "a" })).status).toBe(200);
});

describe("who may ask", () => {
  /** Status and headers of a request to the server, whatever its Host says. */
  const ask = (port: number, headers: Record<string, string>, method = "POST", path = "/predict") =>
    new Promise<{ status: number; allowed: string | undefined }>((resolve, reject) => {
      const request = httpRequest({ port, path, method, headers: { "content-type": "application/json", ...headers } });
      request.on("error", reject).on("response", (response) => {
        response.resume();
        resolve({ status: response.statusCode!, allowed: response.headers["access-control-allow-origin"] });
      });
      request.end(method === "POST" ? '{"inputs": "a"}' : undefined);
    });

  it("answers for its own names only where it listens for this machine alone", async () => {
    const { port } = await start();
    const status = async (host: string, path?: string) => (await ask(port, { host }, "POST", path)).status;
    for (const host of [
      "localhost",
      "localhost:1",
      "LOCALHOST.",
      "a.localhost",
      "127.0.0.1:80",
      "[::1]:80",
      "10.0.0.1",
    ])
      expect([host, await status(host)]).toEqual([host, 200]);
    for (const host of ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "x:y:z"])
      expect([host, await status(host)]).toEqual([host, 421]);
    expect(await status("evil.example", "/")).toBe(421);
    expect((await ask(port, { host: "evil.example" }, "GET", "/health")).status).toBe(421);
  });

  it("answers for any name elsewhere, unless names are given", async () => {
    const anywhere = await start({ host: "0.0.0.0" });
    expect((await ask(anywhere.port, { host: "models.example" })).status).toBe(200);
    await anywhere.app.close();
    const named = await start({ host: "0.0.0.0", allowedHosts: ["Models.example"] });
    expect((await ask(named.port, { host: "models.example:8080" })).status).toBe(200);
    expect((await ask(named.port, { host: "evil.example" })).status).toBe(421);
    await named.app.close();
    const any = await start({ allowedHosts: ["*"] });
    expect((await ask(any.port, { host: "evil.example" })).status).toBe(200);
  });

  it("refuses pages of other sites, unless their origin is named", async () => {
    const { port, app } = await start();
    const own = `localhost:${port}`;
    expect(await ask(port, { host: own, origin: `http://${own}` })).toEqual({ status: 200, allowed: undefined });
    for (const origin of ["https://a.example", "null", "http://localhost:1"]) {
      expect(await ask(port, { host: own, origin })).toEqual({ status: 403, allowed: undefined });
      expect(await ask(port, { host: own, origin }, "OPTIONS")).toEqual({ status: 403, allowed: undefined });
    }
    await app.close();
    const named = await start({ corsOrigin: ["https://a.example"] });
    const [host, origin] = [`localhost:${named.port}`, "https://a.example"];
    expect(await ask(named.port, { host, origin })).toEqual({ status: 200, allowed: origin });
    expect(await ask(named.port, { host, origin }, "OPTIONS")).toEqual({ status: 204, allowed: origin });
    expect((await ask(named.port, { host, origin: "https://b.example" })).status).toBe(403);
    await named.app.close();
    const any = await start({ corsOrigin: ["*"] });
    expect(await ask(any.port, { host: `localhost:${any.port}`, origin: "https://b.example" })).toEqual({
      status: 200,
      allowed: "*",
    });
  });
});

it("answers /health while texts are tokenized, and holds their places in the queue", async () => {
  const { url, ask, post, state, metric } = await start();
  let tokenize!: () => void;
  state.encoding = new Promise((resolve) => (release = tokenize = resolve));
  const first = post({ inputs: ["a", "b", "c"] });
  await until(async () => (await metric("gpugrad_queue_size")) === 3);
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect((await post({ inputs: ["d", "e"] })).status).toBe(429);
  tokenize();
  expect((await first).status).toBe(200);
  expect(await ask("d")).toBe(200);
});

it("closes the connection of a request that does not arrive in time", async () => {
  const { app, port } = await start();
  expect(app.server).toMatchObject({ requestTimeout: 30_000, headersTimeout: 10_000, maxConnections: 1024 });
  app.server.requestTimeout = 1000;
  app.server.headersTimeout = 500;
  const begin = performance.now();
  const answers = ["POST /predict HTTP/1.1\r\n", "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"];
  const ended = answers.map(async (head) => {
    const socket = connect(port, "127.0.0.1");
    socket.write(head);
    let said = "";
    for await (const piece of socket) said += String(piece);
    return said;
  });
  for (const said of await Promise.all(ended)) expect(said).toMatch(/^(HTTP\/1.1 (408|415)|$)/);
  expect(performance.now() - begin).toBeLessThan(20_000); // of Node's own look every 30 s, it would be more
});

describe("close()", () => {
  it("finishes what was accepted, refuses what comes, and hangs up", async () => {
    const { app, url, ask, post, state, metric, close } = await start({ maxWait: 60_000, maxBatchSize: 2 });
    const open = close();
    const running = [ask("a"), ask("b")];
    await until(() => state.batches.length === 1);
    const waiting = ask("c");
    await until(async () => (await metric("gpugrad_queue_size")) === 1);
    const closed = app.close();
    await until(async () => (await fetch(`${url}/health`)).status === 503);
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "stopping" });
    for (const path of ["/predict", "/"]) {
      const refused = await post({ inputs: "d" }, path);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(refused.headers.get("connection")).toBe("close");
      expect(await refused.json()).toMatchObject({ error_type: "stopping" });
    }
    expect((await fetch(`${url}/health?from=balancer`)).status).toBe(503);
    open();
    expect(await Promise.all([...running, waiting])).toEqual([200, 200, 200]);
    expect(state.batches).toEqual([2, 1]);
    await closed; // although fetch would keep its connections
    await expect(ask("e")).rejects.toThrow();
  });

  it("does not wait for a client that never finishes its request", async () => {
    const { app, port } = await start();
    const socket = connect(port, "127.0.0.1");
    const ended = new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
    socket.write(
      "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    await app.close();
    await ended;
  });
});
