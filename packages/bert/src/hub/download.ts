import type { RemoteFile } from "./api.ts";
import { HubError } from "./errors.ts";
import { backoffMs, chunksOf, reasonOf, sleep, type HubFetch } from "./fetch.ts";
import type { OnProgress } from "../opener.ts";

/** A file that is being downloaded, kept for the next try when it is broken off. */
export interface PartialFile {
  /** Bytes that it has so far. */
  readonly size: number;
  append(chunk: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Back to nothing. */
  clear(): Promise<void>;
  /** The hash of what it has, in hexadecimal digits, as the file's `etag` is made. */
  digest(): string;
}

interface Download extends RemoteFile {
  repo: string;
  url: string;
  fetch: HubFetch;
  retryMs: number;
  onProgress: OnProgress;
}

/** Tries in a row that bring less than {@link leastProgress}. */
const maxFruitlessTries = 5;
/** The share of the missing bytes from which a try counts as progress: a file takes a bounded number of requests, whatever a server does. */
const leastProgress = (missing: number): number => Math.min(missing / 20, 2 ** 20);
/** Whole downloads that are damaged. */
const maxDamaged = 3;

/** Downloads until `partial` has all bytes of the file and their hash is right, continuing after what it has. */
export async function download(file: Download, partial: PartialFile): Promise<void> {
  const { repo, path, size, etag, url, fetch, retryMs, onProgress } = file;
  const report = (status: "downloading" | "done" | "failed" | "note", message?: string) =>
    onProgress({ repo, file: path, loaded: partial.size, total: size, status, ...(message && { message }) });

  /** Appends what one answer brings; gives what was wrong with it. Errors of `partial` are not the network's. */
  async function receive(): Promise<{ broken?: string; damage?: string }> {
    const from = partial.size;
    const response = await fetch(url, from > 0 ? { headers: { Range: `bytes=${from}-` } } : {});
    const range = response.headers.get("Content-Range");
    const continues = response.status === 206 && (range === null || range.startsWith(`bytes ${from}-`));
    if (from > 0 && !continues) await partial.clear();
    const chunks = chunksOf(response);
    try {
      for (;;) {
        let next: IteratorResult<Uint8Array<ArrayBuffer>, void>;
        try {
          next = await chunks.next();
        } catch (error) {
          return { broken: reasonOf(error) };
        }
        if (next.done) return { broken: `the connection ended after ${partial.size} of ${size} bytes` };
        if (partial.size + next.value.length > size) return { damage: `more than ${size} bytes came` };
        await partial.append(next.value);
        report("downloading");
      }
    } finally {
      await chunks.return();
    }
  }

  if (partial.size > size) await partial.clear();
  try {
    report("downloading");
    let fruitless = 0;
    for (let damaged = 0; ;) {
      const before = partial.size;
      const { broken, damage } = before < size ? await receive() : {};
      if (damage !== undefined || partial.size === size) {
        const digest = partial.digest();
        if (damage === undefined && digest === etag) break;
        damaged++;
        const what = damage ?? `its hash is ${digest}, the Hub says ${etag}`;
        await partial.clear();
        if (damaged === maxDamaged)
          throw new HubError(
            "damaged",
            `${repo}: ${path}: arrived damaged ${damaged} times: ${what}. Is there a proxy in between? Try again later.`,
          );
        report("note", `${path}: arrived damaged (${what}); starting over`);
        continue;
      }
      fruitless = partial.size - before >= leastProgress(size - before) ? 0 : fruitless + 1;
      if (fruitless > maxFruitlessTries)
        throw new HubError(
          "network",
          `${repo}: ${path}: ${broken}, ${fruitless} times in a row with hardly any progress. What has arrived is kept: run it again to continue.`,
        );
      report("note", `${path}: ${broken}; continuing from byte ${partial.size}`);
      if (fruitless > 0) await sleep(backoffMs(retryMs, fruitless));
    }
    report("done");
  } catch (error) {
    report("failed");
    throw error;
  }
}
