import { destroy, device, GpugradError, init } from "@gpugrad/tensor";
import { Command } from "commander";
import { runCommand } from "../run-command.ts";
import { createServer } from "../serve/server.ts";
import { onStopSignal } from "../stop-signal.ts";
import { openTextModel, sequenceClassification } from "../text-model.ts";
import { wholeNumber } from "../texts.ts";

interface Options {
  host: string;
  port: number;
  maxBatchSize: number;
  maxWait: number;
  maxQueueSize: number;
  maxClientBatchSize: number;
  maxBodySize: number;
  maxLength?: number;
}

/** `gpugrad serve MODEL`: a classifier behind HTTP. */
export function serve(args: string[]): Promise<number> {
  const command = new Command("gpugrad serve")
    .description(
      'Answers POST /predict {"inputs": "a text" or ["…", "…"], "parameters": {"top_k": 1}} with the classes and scores of each input, and ' +
        "computes requests that come together together. GET /health, GET /metrics (Prometheus). Ctrl-C or SIGTERM finishes what was " +
        "accepted, then ends. Anyone who reaches the address may ask: there are no passwords.",
    )
    .argument("<model>", "a folder or a hub id")
    .option("--host <address>", "the address to listen on; 0.0.0.0 for other machines, too", "127.0.0.1")
    .option("--port <n>", "0 for any that is free", wholeNumber(0), 8080)
    .option("--max-batch-size <n>", "texts computed together", wholeNumber(1), 32)
    .option("--max-wait <ms>", "how long a text waits for others while the device has nothing to do", wholeNumber(0), 5)
    .option("--max-queue-size <n>", "texts that wait; more are refused with 429", wholeNumber(1), 512)
    .option("--max-client-batch-size <n>", "texts in one request; more are refused with 413", wholeNumber(1), 32)
    .option("--max-body-size <bytes>", "of a request; larger ones are refused with 413", wholeNumber(1), 2 ** 20)
    .option(
      "--max-length <n>",
      "tokens per text; longer texts are cut (default: as many as the model takes)",
      wholeNumber(1),
    )
    .allowExcessArguments(false);
  return runCommand<Options>(command, args, async (options, [id]) => {
    if (options.maxClientBatchSize > options.maxQueueSize)
      command.error(
        `error: --max-queue-size ${options.maxQueueSize} has no room for a request of --max-client-batch-size ${options.maxClientBatchSize} texts.`,
      );
    let stopListening!: () => void;
    const stopped = new Promise<NodeJS.Signals>((resolve) => (stopListening = onStopSignal(resolve)));
    try {
      await init();
      const say = (text: string): void => void process.stderr.write(`gpugrad serve: ${text}\n`);
      const model = await openTextModel(id!, sequenceClassification, { maxLength: options.maxLength, say });
      const [text] = model.encode([{ text: "" }]);
      for (const size of [1, options.maxBatchSize]) await model.compute(Array.from({ length: size }, () => text!)); // compiles
      const app = createServer(model, options);
      const address = await app.listen({ host: options.host, port: options.port }).catch(listenError);
      process.stdout.write(`${id} on ${address} (${device().adapter.description})\n`);
      const signal = await stopped;
      say(`${signal}: finishing what was accepted.`);
      await app.close();
      return 0;
    } finally {
      stopListening();
      await destroy();
    }
  });
}

function listenError(error: NodeJS.ErrnoException & { address?: string; port?: number }): never {
  if (error.code !== "EADDRINUSE") throw error;
  throw new GpugradError(
    `serve: another program listens on ${error.address}:${error.port}. --port 0 takes any port that is free.`,
  );
}
