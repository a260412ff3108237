import type { Answers, Ask } from "./protocol.ts";

/** A worker with a device of its own. What it is asked is done in turn; `stop` ends it whatever it does, and the next question starts another. */
export class Lab {
  #worker: Worker | undefined;
  #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #asked = 0;

  ask<T extends Ask["type"]>(ask: Extract<Ask, { type: T }>): Promise<Answers[T]> {
    const worker = (this.#worker ??= this.#start());
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, ask });
    });
  }

  stop(why = "Stopped."): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<{ id: number; result: never; error?: string }>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) waiting?.resolve(data.result);
      else waiting?.reject(new Error(data.error));
    };
    worker.onerror = (event) => this.stop(event.message || "The worker ended with an error.");
    return worker;
  }
}
