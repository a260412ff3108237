import { HubError } from "./errors.ts";
import type { FileBlob } from "./file-blob.ts";
import { pageOf } from "./names.ts";

export type HubFetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

interface Context {
  repo: string;
  type: "model" | "dataset";
  revision: string;
  endpoint: string;
  token: string | undefined;
  retryMs: number;
  userAgent?: string;
  /** Whether it is to be changed, which takes other rights and more patience. */
  writes?: boolean;
}

export const maxTries = 5;
const maxTriesOfWrites = 8;
/** How long a server may take to begin its answer, once it has been sent all. */
const answerMs = 30_000;
const answerToWritesMs = 120_000;
const passing = new Set([408, 429, 500, 502, 503, 504]);
/** The longest pause that a server may ask for: a longer one is left to the user. */
const maxPauseMs = 60_000;

/**
 * `fetch` for one repository: sends the token (to the Hub itself; `fetch` drops it when an answer redirects to another
 * origin, such as the CDN), tries again when the network or the server fails for a moment, and turns the Hub's refusals
 * into {@link HubError}s.
 */
export function hubFetch(context: Context): HubFetch {
  const { repo, type, revision, endpoint, token, retryMs, userAgent, writes = false } = context;
  const tries = writes ? maxTriesOfWrites : maxTries;
  const page = pageOf(endpoint, type, repo);
  if (token !== undefined && !/^[!-~]+$/.test(token))
    throw new HubError(
      "unauthorized",
      `${repo}: the token holds characters that no token has. Set HF_TOKEN again, or run \`hf auth login\`.`,
    );
  const authorization = `Bearer ${token}`;

  return async (url, init) => {
    const headers = new Headers(init?.headers);
    const isOurs = new URL(url instanceof Request ? url.url : url).origin === new URL(endpoint).origin;
    if (token && isOurs) headers.set("Authorization", authorization);
    else if (headers.get("Authorization") === authorization) headers.delete("Authorization");
    if (userAgent) headers.set("User-Agent", userAgent);

    for (let attempt = 1; ; attempt++) {
      let failure: string;
      let isLimited = false;
      let waitMs = backoffMs(retryMs, attempt);
      try {
        const response = await fetchInTime(url, { ...init, headers }, writes ? answerToWritesMs : answerMs);
        if (response.ok) return response;
        if (!passing.has(response.status)) throw await refusal(response);
        failure = `${endpoint} answers ${response.status} ${response.statusText}`;
        isLimited = response.status === 429;
        waitMs = retryAfterMs(response) ?? waitMs;
        await response.body?.cancel();
      } catch (error) {
        if (error instanceof HubError || init?.signal?.aborted) throw error;
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        failure = `cannot reach ${endpoint}: ${cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : String(cause)}`;
        if (/redirect count exceeded/.test(failure))
          throw new HubError(
            "bad-answer",
            `${repo}: ${addressOf(url)} redirects without end. Is HF_ENDPOINT (${endpoint}) a Hub?`,
          );
      }
      if (isLimited && (attempt === tries || waitMs > maxPauseMs))
        throw new HubError(
          "rate-limited",
          `${repo}: ${failure}: too many requests from here, its rate limit. Try again in ${Math.ceil(Math.max(waitMs, 1000) / 1000)} s` +
            `${token ? "." : ", or set HF_TOKEN: more requests are allowed with a token."}`,
        );
      if (attempt === tries)
        throw new HubError(
          "network",
          `${repo}: ${failure} (tried ${tries} times). Check the network and HF_ENDPOINT${writes ? "." : "; HF_HUB_OFFLINE=1 uses the cache alone."}`,
        );
      await sleep(Math.min(waitMs, maxPauseMs));
    }
  };

  async function refusal(response: Response): Promise<HubError> {
    const code = response.headers.get("X-Error-Code");
    const message = response.headers.get("X-Error-Message") ?? "";
    const { status } = response;
    await response.body?.cancel();
    if (code === "GatedRepo")
      return new HubError(
        "gated",
        status === 403
          ? `${repo}: gated, and this token has not been let in. Ask for access at ${page}`
          : `${repo}: gated: accept its terms at ${page}, then set HF_TOKEN (${endpoint}/settings/tokens) or run \`hf auth login\`.`,
      );
    if (code === "RevisionNotFound")
      return new HubError(
        "revision-not-found",
        `${repo}: no revision "${revision}". See ${page}/tree/main for what there is.`,
      );
    if (code === "EntryNotFound")
      return new HubError("entry-not-found", `${repo}: no such file at revision ${revision}: ${response.url}`);
    if (writes && !response.url.startsWith(`${endpoint}/`))
      return new HubError("network", `${repo}: its storage answers ${status} ${response.statusText}. Try again.`);
    if (status === 401 && token && (writes || /credentials in authorization|token/i.test(message)))
      return new HubError(
        "unauthorized",
        `${repo}: the Hub does not accept the token. Make another at ${endpoint}/settings/tokens, or unset HF_TOKEN.`,
      );
    if (code === "RepoNotFound" || status === 401 || status === 404)
      return new HubError(
        "repo-not-found",
        `${repo}: no such ${type} at ${endpoint}, or it is private and ${token ? "the token may not read it" : "no token was given"}. ` +
          "Check the spelling; for a private one set HF_TOKEN.",
      );
    if (writes && status === 403) return mayNotWrite(repo, endpoint, message || "403 Forbidden");
    if (writes && (status === 409 || status === 412))
      return new HubError("conflict", `${repo}: ${message || response.statusText}. Try again.`);
    return new HubError("network", `${repo}: ${response.url} answers ${status} ${response.statusText}: ${message}`);
  }
}

export const mayNotWrite = (repo: string, endpoint: string, why: string): HubError =>
  new HubError(
    "forbidden",
    `${repo}: the token may not write there (${why}). Make one with write permission at ${endpoint}/settings/tokens, or choose a repository that is yours.`,
  );

/** The pause before the next try, by the number of failed ones: doubling, at most 8 s. */
export const backoffMs = (first: number, failures: number): number => Math.min(first * 2 ** (failures - 1), 8000);

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const addressOf = (url: string | URL | Request): string => (url instanceof Request ? url.url : String(url));

/** What an error of `fetch` says, with its cause. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error
    ? error.cause instanceof Error
      ? `${error.message}: ${error.cause.message}`
      : error.message
    : String(error);

/** A connection that brings nothing for so long is given up. */
const stallMs = 30_000;

/** The bytes of an answer as they come. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stalled = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`nothing came for ${stallMs / 1000} s`)), stallMs);
      });
      const { done, value } = await Promise.race([reader.read(), stalled]).finally(() => clearTimeout(timer));
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** `fetch` that gives up when nothing of a file could be sent, or no answer begins, for so long; reading the answer may take longer. */
async function fetchInTime(url: string | URL | Request, init: RequestInit, patienceMs: number): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`no answer for ${patienceMs / 1000} s`)), patienceMs);
  const signal = init.signal ? AbortSignal.any([controller.signal, init.signal]) : controller.signal;
  const body =
    init.body && typeof init.body === "object" && "sending" in init.body
      ? (init.body as FileBlob).sending(() => timer.refresh(), signal)
      : init.body;
  try {
    return await fetch(url, { ...init, ...(body && { body }), signal });
  } catch (error) {
    controller.abort(); // closes the file
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The Retry-After header in milliseconds; undefined when there is none. */
function retryAfterMs(response: Response): number | undefined {
  const header = response.headers.get("Retry-After");
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}
