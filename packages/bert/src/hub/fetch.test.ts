import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HubError } from "./errors.ts";
import { chunksOf, hubFetch } from "./fetch.ts";

const context = {
  repo: "a/b",
  type: "model",
  revision: "main",
  endpoint: "https://hub.example",
  retryMs: 500,
} as const;
let start: number;
/** When each request was made, in milliseconds from the first. */
let times: number[];
let sent: Headers[];
beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T00:00:00Z") });
  [start, times, sent] = [Date.now(), [], []];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Answers so, one after the other, the last for ever; gives what comes of it once all pauses are over. */
async function asked(answers: (() => Response)[], more: object = {}, url = "https://hub.example/api/x") {
  vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
    times.push(Date.now() - start);
    sent.push(new Headers(init.headers));
    return Promise.resolve(answers[Math.min(times.length, answers.length) - 1]!());
  });
  const ended = hubFetch({ ...context, token: undefined, ...more })(url).then(
    () => undefined,
    (error: HubError) => error,
  );
  await vi.advanceTimersByTimeAsync(3_600_000);
  return ended;
}
const busy = (status: number, retryAfter?: string) => () =>
  new Response("", { status, statusText: "Busy", ...(retryAfter && { headers: { "Retry-After": retryAfter } }) });
const fine = () => new Response("{}");

describe("pauses between tries", () => {
  it("double", async () => {
    const error = await asked([busy(503)]);
    expect(times).toEqual([0, 500, 1500, 3500, 7500]);
    expect(error).toMatchObject({ name: "HubError", code: "network" });
    expect(error!.message).toMatch(/^a\/b: https:\/\/hub\.example answers 503 Busy \(tried 5 times\)/);
  });

  it("are at most eight seconds, and more of them where something is written", async () => {
    await asked([busy(500)], { writes: true, retryMs: 3000 });
    expect(times).toEqual([0, 3000, 9000, 17_000, 25_000, 33_000, 41_000, 49_000]);
  });

  it("are as long as the server says, in seconds or as a date, up to a minute", async () => {
    expect(await asked([busy(503, "7"), busy(429, "Thu, 01 Jan 2026 00:00:20 GMT"), busy(503, "3600"), busy(503, "soon"), fine])).toBeUndefined(); // prettier-ignore
    expect(times).toEqual([0, 7000, 20_000, 80_000, 84_000]); // what can't be read is left out: the fourth pause of its own
  });

  it("also come after errors of the network", async () => {
    const gone = () => {
      throw new TypeError("fetch failed", { cause: new Error("other side closed") });
    };
    expect((await asked([gone, gone, fine]))?.message).toBeUndefined();
    expect(times).toEqual([0, 500, 1500]);
  });
});

describe("a rate limit", () => {
  it("is called so, and a token helps", async () => {
    const error = await asked([busy(429, "2")]);
    expect(times).toHaveLength(5);
    expect(error).toMatchObject({ code: "rate-limited" });
    expect(error!.message).toMatch(/429 Busy: .*rate limit\. Try again in 2 s, or set HF_TOKEN/);
  });

  it("of more than a minute is not waited for", async () => {
    const error = await asked([busy(429, "1800")], { token: "hf_x" });
    expect(times).toEqual([0]);
    expect(error!.message).toMatch(/rate limit\. Try again in 1800 s\.$/);
  });
});

describe("the bytes of an answer", () => {
  it("come as they are, and leave no timer behind", async () => {
    const got: number[] = [];
    for await (const chunk of chunksOf(new Response(Uint8Array.of(1, 2, 3)))) got.push(...chunk);
    expect([got, vi.getTimerCount()]).toEqual([[1, 2, 3], 0]);
  });

  it("are given up where none comes for half a minute, though some came before", async () => {
    let cancelled = false;
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(Uint8Array.of(1)),
      cancel: () => void (cancelled = true),
    });
    const got: number[] = [];
    const reading = (async () => {
      for await (const chunk of chunksOf(new Response(body))) got.push(...chunk);
    })().catch((error: Error) => error.message);
    await vi.advanceTimersByTimeAsync(29_000);
    expect([got, cancelled]).toEqual([[1], false]);
    await vi.advanceTimersByTimeAsync(2000);
    expect([await reading, cancelled]).toEqual(["nothing came for 30 s", true]);
  });
});

describe("the token", () => {
  it("goes to the Hub alone, also where somebody else has set it", async () => {
    await asked([fine], { token: "hf_x" });
    vi.unstubAllGlobals();
    await asked([fine], { token: "hf_x" }, "https://hub.example.evil/api/x");
    await asked([fine], { token: "hf_x" }, "http://hub.example/api/x");
    expect(sent.map((headers) => headers.get("Authorization"))).toEqual(["Bearer hf_x", null, null]);

    const fetchOf = hubFetch({ ...context, token: "hf_x" });
    await fetchOf("https://cdn.example/x", { headers: { Authorization: "Bearer hf_x" } });
    await fetchOf("https://cdn.example/x", { headers: { Authorization: "Basic of-the-cdn" } });
    expect(sent.slice(3).map((headers) => headers.get("Authorization"))).toEqual([null, "Basic of-the-cdn"]);
  });
});
