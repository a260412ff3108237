import { spawn } from "node:child_process";
import { once } from "node:events";
import { BertConfig, BertForSequenceClassification, bertTokenizer } from "@gpugrad/bert";
import { destroy, init, manualSeed } from "@gpugrad/tensor";

/** Words of IMDB's kind. */
export const vocabulary =
  "a the film is was slow fine acting plot story of and very bad good with end start long boring".split(" ");

/** A small BERT of random weights, with a tokenizer of {@link vocabulary}. */
export async function makeModel(folder: string): Promise<void> {
  await init();
  manualSeed(1);
  const shape = { hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 512 };
  await new BertForSequenceClassification(new BertConfig(shape)).savePretrained(folder);
  await bertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...vocabulary]).savePretrained(folder);
  await destroy();
}

/** A server of its own. */
export interface Server {
  url: string;
  device: string;
  stop: () => Promise<unknown>;
}

/** Starts `gpugrad serve`: where it listens, and what computes for it. */
export async function start(model: string, args: string[]): Promise<Server> {
  const run = ["scripts/run.mjs", "packages/gpugrad/src/cli.ts", "serve", model, "--port", "0", ...args];
  const child = spawn(process.execPath, run, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "close");
  let out = "";
  child.stdout.on("data", (data) => (out += String(data)));
  while (!out.includes("\n")) {
    const [code] = (await Promise.race([once(child.stdout, "data"), ended])) as [unknown];
    if (typeof code === "number") throw new Error(`gpugrad serve ${model} ended with ${code}.`);
  }
  const [, url, device] = / on (http:\S+) \((.*)\)\n/.exec(out)!;
  return { url: url!, device: device!, stop: () => (child.kill("SIGTERM"), ended) };
}
