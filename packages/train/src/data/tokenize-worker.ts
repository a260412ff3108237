// The program of a worker thread: tokenizes what it is asked to, with the tokenizer of a folder.
import { AutoTokenizer } from "@gpugrad/bert";
import { parentPort, workerData } from "node:worker_threads";
import { encodeRows } from "./batch.ts";
import type { TokenizeReply, TokenizeRequest } from "./tokenize-workers.ts";
import { packTokens } from "./tokens.ts";

const port = parentPort!;
const tokenizer = await AutoTokenizer.fromPretrained(workerData as string);
const reply = (message: TokenizeReply, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

port.on("message", ({ number, rows, maxLength }: TokenizeRequest) => {
  try {
    const chunk = packTokens(encodeRows(tokenizer, rows, maxLength));
    reply(
      { number, chunk },
      Object.values(chunk).map(({ buffer }) => buffer as ArrayBuffer),
    ); // moved, not copied
  } catch (error) {
    reply({ number, error: (error as Error).message });
  }
});
reply({});
