import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { GpugradError } from "@gpugrad/tensor";
import type { Row } from "./dataset.ts";
import type { TokenChunk } from "./tokens.ts";

/** Threads that tokenize. */
export interface TokenizeWorkers {
  /** @throws when the tokenizer does, or its thread ends; the next call starts another one */
  encode(rows: readonly Row[], maxLength: number): Promise<TokenChunk>;
  close(): Promise<void>;
}

/** What a worker is asked, and what it answers; its first answer has no number: it is ready. */
export type TokenizeRequest = { number: number; rows: readonly Row[]; maxLength: number };
export type TokenizeReply = { number?: number; chunk?: TokenChunk; error?: string };

/** Starts threads that load the tokenizer in `folder`; why not, when they can't be started, as in a bundle without the worker's file. */
export async function startWorkers(folder: string, count: number): Promise<TokenizeWorkers | string> {
  const threads = Array.from({ length: count }, () => new TokenizeThread(folder));
  const close = async () => void (await Promise.all(threads.map((thread) => thread.close())));
  try {
    await Promise.all(threads.map((thread) => thread.start()));
  } catch (error) {
    await close();
    return (error as Error).message;
  }
  return {
    encode: (rows, maxLength) => threads.reduce((a, b) => (b.pending < a.pending ? b : a)).encode(rows, maxLength),
    close,
  };
}

class TokenizeThread {
  readonly #folder: string;
  #worker: Promise<Worker> | undefined;
  readonly #waiting = new Map<number, { resolve: (chunk: TokenChunk) => void; reject: (error: Error) => void }>();
  #requests = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Requests that wait for their answer. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Once the tokenizer is loaded. */
  start(): Promise<Worker> {
    return (this.#worker ??= new Promise((ready, failed) => {
      const program = pathToFileURL(createRequire(import.meta.url).resolve("#tokenize-worker"));
      const worker = new Worker(program, { workerData: this.#folder });
      worker.on("message", ({ number, chunk, error }: TokenizeReply) => {
        if (number === undefined) return ready(worker);
        const { resolve, reject } = this.#waiting.get(number)!;
        this.#waiting.delete(number);
        if (chunk) resolve(chunk);
        else reject(new GpugradError(error ?? "tokenizer: no answer from its thread."));
      });
      let isOver = false; // an error is followed by an exit
      const ended = (error: Error): void => {
        if (isOver) return;
        isOver = true;
        this.#worker = undefined;
        failed(error);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      };
      worker.on("error", ended);
      worker.on("exit", (code) => ended(new GpugradError(`tokenizer: its thread ended with exit code ${code}.`)));
    }));
  }

  async encode(rows: readonly Row[], maxLength: number): Promise<TokenChunk> {
    const number = this.#requests++;
    const chunk = new Promise<TokenChunk>((resolve, reject) => this.#waiting.set(number, { resolve, reject }));
    this.start().then(
      (worker) => worker.postMessage({ number, rows, maxLength } satisfies TokenizeRequest),
      () => undefined, // the request is rejected where the thread's end is noticed
    );
    return chunk;
  }

  async close(): Promise<void> {
    const worker = await this.#worker?.catch(() => undefined);
    await worker?.terminate();
  }
}
