import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Row } from "./dataset.ts";
import type { TokenChunk } from "./tokens.ts";

/** Threads that tokenize. */
export interface TokenizeWorkers {
  encode(rows: readonly Row[], maxLength: number): Promise<TokenChunk>;
  close(): Promise<void>;
}

/** What a worker is asked, and what it answers; its first answer has no number: it is ready. */
export type TokenizeRequest = { number: number; rows: readonly Row[]; maxLength: number };
export type TokenizeReply = { number?: number; chunk?: TokenChunk; error?: string };

/** Starts threads that load the tokenizer in `folder`; why not, when they can't be started, as in a bundle without the worker's file. */
export async function startWorkers(folder: string, count: number): Promise<TokenizeWorkers | string> {
  const waiting = new Map<number, { resolve: (chunk: TokenChunk) => void; reject: (error: Error) => void }>();
  let requests = 0;
  const workers: Worker[] = [];
  const close = async () => void (await Promise.all(workers.map((worker) => worker.terminate())));
  try {
    const program = pathToFileURL(createRequire(import.meta.url).resolve("#tokenize-worker"));
    const start = () =>
      new Promise<void>((ready, failed) => {
        const worker = new Worker(program, { workerData: folder });
        workers.push(worker);
        worker.on("message", ({ number, chunk, error }: TokenizeReply) => {
          if (number === undefined) return ready();
          const { resolve, reject } = waiting.get(number)!;
          waiting.delete(number);
          if (chunk) resolve(chunk);
          else reject(new Error(error));
        });
        worker.on("error", (error: Error) => {
          failed(error);
          for (const { reject } of waiting.values()) reject(error);
        });
      });
    await Promise.all(Array.from({ length: count }, start));
  } catch (error) {
    await close();
    return (error as Error).message;
  }
  return {
    encode: (rows, maxLength) =>
      new Promise((resolve, reject) => {
        const number = requests++;
        waiting.set(number, { resolve, reject });
        workers[number % workers.length]!.postMessage({ number, rows, maxLength } satisfies TokenizeRequest);
      }),
    close,
  };
}
