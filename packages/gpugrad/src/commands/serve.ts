import { shareable } from "@gpugrad/bert";
import { destroy, device, GpugradError, init } from "@gpugrad/tensor";
import { Command, Option } from "commander";
import { allowMissingWeights, dtypeOption, type WeightDtype } from "../text/missing-weights.ts";
import { writeError, writeOutput } from "../output.ts";
import { runCommand } from "../run-command.ts";
import { createServer, type ServeOptions } from "../serve/server.ts";
import { exitCodeOf, onStopSignal, StoppedError, unlessStopped } from "../stop-signal.ts";
import type { AnyService } from "../serve/service.ts";
import { SERVED_TASKS, serviceFor } from "../serve/service-for.ts";
import { openTextModel, type TextModel } from "../text/text-model.ts";
import { truncationOption, type TruncationOptions } from "../text/truncation.ts";
import { addWindowOptions, windowsFrom, type WindowFlags } from "../text/windows.ts";
import { wholeNumber } from "../text/texts.ts";

interface Options extends ServeOptions, TruncationOptions, WindowFlags {
  task?: string;
  port: number;
  maxLength?: number;
  dtype?: WeightDtype;
  allowMissingWeights?: true;
}

const names = (list: string): string[] => list.split(",").map((name) => name.trim()).filter(Boolean); // prettier-ignore

/** `gpugrad serve MODEL`: a classifier behind HTTP. */
export function serve(args: string[]): Promise<number> {
  const command = new Command("gpugrad serve")
    .description(
      "Answers over HTTP as Hugging Face's Inference API, text-embeddings-inference and OpenAI's embeddings do: POST / for every task, POST /predict " +
        '{"inputs": "a text" or ["…", "…"], "parameters": {"top_k": 1}} for classes and scores, POST /embed, /embed_all, /similarity and /v1/embeddings for vectors. ' +
        "Requests that arrive together are computed as one batch. GET /info, GET /health, GET /metrics (Prometheus). Ctrl-C or SIGTERM finishes what was " +
        "accepted, then ends. Anyone who can reach the address can use it: there is no authentication. Web pages of other sites are refused.",
    )
    .argument("<model>", "a folder or a hub id")
    .addOption(
      new Option("--task <name>", "what the model is served for (default: what its folder says)").choices(SERVED_TASKS),
    )
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
    .addOption(truncationOption())
    .option(
      "--allowed-hosts <names>",
      "names of this server in requests, separated by commas, beside addresses and localhost; others are refused with 421; " +
        "* for any (default: any, unless --host is an address of this machine alone)",
      names,
      [],
    )
    .option(
      "--cors-origin <origins>",
      "sites whose pages may send requests, such as https://example.com, separated by commas; others are refused with 403; * for any",
      names,
      [],
    )
    .addOption(dtypeOption())
    .addOption(allowMissingWeights())
    .allowExcessArguments(false);
  addWindowOptions(command);
  return runCommand<Options>(command, args, async (options, [id]) => {
    if (options.maxClientBatchSize > options.maxQueueSize)
      command.error(
        `error: --max-queue-size ${options.maxQueueSize} is too small for a request of --max-client-batch-size ${options.maxClientBatchSize} texts.`,
      );
    const stop = new AbortController();
    const stopListening = onStopSignal((signal) => stop.abort(new StoppedError(signal)));
    const say = (text: string): void => writeError(`gpugrad serve: ${text}\n`);
    let model: TextModel | undefined;
    let service: AnyService | undefined;
    const open = async (): Promise<TextModel> => {
      await init();
      const { maxLength, dtype, allowMissingWeights, truncation } = options;
      service = await serviceFor(id!, options.task);
      const opened = await openTextModel(id!, service.task, {
        ...{ maxLength, dtype, allowMissingWeights, truncation, windows: windowsFrom(options) },
        ...{ say, threads: 1 },
      });
      model = opened;
      await warmUp(opened, options.maxBatchSize);
      return opened;
    };
    try {
      const opened = await unlessStopped(stop.signal, open);
      const app = createServer(
        opened,
        { ...options, modelId: (shareable({ model: id }) as { model: string }).model },
        service,
      );
      const address = await app.listen({ host: options.host, port: options.port }).catch(listenError);
      await writeOutput(`${id} on ${address} (${device().adapter.description})\n`);
      const forever = new Promise<never>(() => undefined);
      await unlessStopped(stop.signal, () => forever).catch((error: StoppedError) =>
        say(`${error.signal}: finishing what was accepted.`),
      );
      await app.close();
      return 0;
    } catch (error) {
      if (!(error instanceof StoppedError)) throw error;
      return exitCodeOf(error.signal);
    } finally {
      stopListening();
      await model?.close();
      await destroy();
    }
  });
}

/** Words of texts, and texts in batches, whose products take different kernels. */
const WARM_WORDS = [0, 6, 22, 62, 94, 126];
const WARM_SIZES = [4, 20];

/** Compiles what requests will need, so that the first of them does not wait for it. */
async function warmUp(model: TextModel, maxBatchSize: number): Promise<void> {
  const texts = await model.encode(WARM_WORDS.map((words) => ({ text: "a ".repeat(words) })));
  for (const text of texts) await model.compute([text]);
  for (const size of [...WARM_SIZES.filter((size) => size < maxBatchSize), maxBatchSize])
    await model.compute(Array.from({ length: size }, () => texts[0]!));
}

function listenError(error: NodeJS.ErrnoException & { address?: string; port?: number }): never {
  if (error.code !== "EADDRINUSE") throw error;
  throw new GpugradError(
    `serve: another program is listening on ${error.address}:${error.port}. --port 0 takes any port that is free.`,
  );
}
