import "@gpugrad/autograd";
import { destroy, dryRun, GpugradError, init, type DispatchWork, type Tensor } from "@gpugrad/tensor";
import { Command, InvalidArgumentError } from "commander";
import { writeFile } from "node:fs/promises";
import { writeOutput } from "../output.ts";
import {
  estimate,
  NETWORK,
  planOf,
  scalingOf,
  type Gradients,
  type Network,
  type Plan,
  type PlannedKernel,
  type Scaling,
} from "../plan/estimate.ts";
import { adapterOf, gpus, type Gpu } from "../plan/gpus.ts";
import { picture, scalingPicture } from "../plan/picture.ts";
import { runCommand } from "../run-command.ts";
import { wholeNumber } from "../text/texts.ts";
import { shortName } from "./trace-events.ts";
import { classifierOf, openConfig, sizeNames, trainingStep, type StepSizes } from "./training-step.ts";

interface Options extends StepSizes {
  model: string;
  gpu: string;
  count: number;
  rows: number;
  epochs: number;
  price?: number;
  svg?: string;
  scaling?: true;
  network: number;
  latency: number;
  perMachine: number;
  json?: true;
}

/** What a step does, as the GPU's kernels would. */
interface Step extends Gradients {
  dispatches: DispatchWork[];
  allocatedBytes: number;
  /** B · H · T · T · D. */
  scores: number;
}

/** `gpugrad plan`: what fine-tuning would take on a GPU that isn't here. */
export function plan(args: string[]): Promise<number> {
  const command = new Command("gpugrad plan")
    .description(
      "What fine-tuning would take on a GPU that isn't here: kernels of a step, memory, time and cost. An estimate: the step is tried without\n" +
        "computing anything, and timed by what was measured on an H200.",
    )
    .option(
      "--model <id>",
      `a size (${sizeNames}), or a folder or hub id, of which only config.json is read`,
      "bert-base-uncased",
    )
    .option("--gpu <name>", `${Object.keys(gpus).join(", ")}; all: a line for each`, gpuName, "all")
    .option("--count <n>", "GPUs that share the texts, each with batches of its own", wholeNumber(1), 1)
    .option("--batch-size <n>", "texts in a batch", wholeNumber(1), 16)
    .option("--seq-length <n>", "tokens in a text", wholeNumber(1), 256)
    .option("--rows <n>", "texts to train on", wholeNumber(1), 25_000)
    .option("--epochs <n>", "how often they are gone through", wholeNumber(1), 3)
    .option("--fp16", "mixed precision: factors of products rounded to f16, and a loss scale")
    .option("--price <amount>", "what one GPU costs an hour", amount)
    .option("--scaling", "how 2 to 1,024 GPUs would do, with a batch of that size on each")
    .option("--network <GB/s>", "of a machine, to the others", amount, NETWORK.gbs)
    .option("--latency <µs>", "before a message arrives at another machine", amount, NETWORK.latencyUs)
    .option("--per-machine <n>", "GPUs that share a machine and its network", wholeNumber(1), NETWORK.perMachine)
    .option("--svg <file>", "draw the kernels of the step there, or with --scaling how it scales")
    .option("--json", "print the plan as JSON and nothing else")
    .allowExcessArguments(false);
  return runCommand<Options>(command, args, async (options) => {
    if ((options.svg !== undefined || options.scaling) && options.gpu === "all") {
      const what = options.scaling ? "--scaling is about" : "--svg draws the step of";
      throw new GpugradError(`plan: ${what} one GPU, and --gpu is all. Name one.`);
    }
    const config = await openConfig(options.model, options.seqLength);
    await init();
    try {
      const chosen = options.gpu === "all" ? Object.values(gpus) : [gpus[options.gpu]!];
      const plans = chosen.map((gpu) => {
        const step = tryStep(() => classifierOf(config), gpu, options);
        const kernels = estimate(step.dispatches, gpu, step.scores);
        return { gpu, step, kernels, ...planOf(kernels, gpu, step, options, networkOf(options)) };
      });
      const [first] = plans;
      const scales = options.scaling ? scalingOf(first!, first!.gpu, first!.step, networkOf(options)) : [];
      if (options.svg !== undefined) {
        const title = titleOf(first!.gpu, options);
        await writeFile(options.svg, options.scaling ? scalingPicture(title, scales) : picture(title, first!.kernels));
      }
      if (options.scaling) {
        const json = scales.map(({ count, stepMs, exchangeMs, waitMs, efficiency }) => ({ count, step_ms: stepMs, exchange_ms: exchangeMs, wait_ms: waitMs, efficiency })); // prettier-ignore
        await writeOutput(options.json ? `${JSON.stringify(json)}\n` : scalingReport(first!, scales, options));
      } else if (options.json) await writeOutput(`${JSON.stringify(plans.map((one) => jsonOf(one, options)))}\n`);
      else await writeOutput(options.gpu === "all" ? comparison(plans, options) : report(first!, options));
      return 0;
    } finally {
      await destroy();
    }
  });
}

const networkOf = ({ network, latency, perMachine }: Options): Network => ({
  ...{ gbs: network, latencyUs: latency, perMachine },
});

/** How an update scales, a line for each number of GPUs. */
function scalingReport({ gpu, step }: Planned, scales: readonly Scaling[], options: Options): string {
  const rows = scales.map(({ count, stepMs, exchangeMs, waitMs, efficiency }) => [
    ...[`${count}`, ...[stepMs, exchangeMs, waitMs].map((ms) => ms.toFixed(1)), `${(100 * efficiency).toFixed(0)} %`],
    ((1000 * count * options.batchSize) / (stepMs + waitMs)).toFixed(0),
  ]);
  return [
    `${titleOf(gpu, options)} on each GPU, ${(step.parameters / 1e6).toFixed(1)} M parameters, ${options.perMachine} GPUs in a machine, ${options.network} GB/s between machines`,
    "",
    ...table([["GPUs", "step, ms", "exchange, ms", "waiting, ms", "efficiency", "texts/s"], ...rows]),
    "",
    NOTE,
  ].join("\n");
}

function gpuName(text: string): string {
  const name = text.toLowerCase();
  if (name !== "all" && !Object.hasOwn(gpus, name)) {
    throw new InvalidArgumentError(`There are ${Object.keys(gpus).join(", ")} and all.`);
  }
  return name;
}

function amount(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < Infinity))
    throw new InvalidArgumentError("It is not an amount of money such as 2.49.");
  return value;
}

/** The dispatches of the second step (the first also makes what stays), and the memory of both. */
function tryStep(makeModel: () => ReturnType<typeof classifierOf>, gpu: Gpu, options: Options): Step {
  const { batchSize, seqLength } = options;
  const take = (steps: number) =>
    dryRun(
      () => {
        const model = makeModel();
        const step = trainingStep(model, options);
        for (let i = 0; i < steps; i++) step();
        const { hidden_size, vocab_size } = model.config as unknown as { hidden_size: number; vocab_size: number };
        const sizeOf = (all: readonly Tensor[]): number => all.reduce((sum, { size }) => sum + size, 0);
        const all = [...model.parameters()];
        const embeddings = sizeOf(all.filter(({ shape }) => shape[0] === vocab_size));
        return { parameters: sizeOf(all), embeddings, scores: batchSize * seqLength ** 2 * hidden_size };
      },
      { adapter: adapterOf(gpu) },
    );
  const [one, two] = [take(1), take(2)];
  const { allocatedBytes, result } = two;
  return { ...result, allocatedBytes, dispatches: two.dispatches.slice(one.dispatches.length) };
}

type Planned = Plan & { gpu: Gpu; step: Step; kernels: PlannedKernel[] };

const costOf = ({ seconds }: Plan, { price, count }: Options): number | undefined =>
  price === undefined ? undefined : (seconds / 3600) * price * count;

const fits = ({ gpu, step }: Planned): boolean => step.allocatedBytes <= gpu.memory * 1e9;

function jsonOf(planned: Planned, options: Options): object {
  const { gpu, step, kernels, deviceMs, stepMs, exchangeMs, waitMs, updates, seconds } = planned;
  return {
    ...{ gpu: gpu.name, count: options.count, device_ms: deviceMs, step_ms: stepMs },
    ...{ exchange_ms: exchangeMs, wait_ms: waitMs, updates, seconds, cost: costOf(planned, options) ?? null },
    ...{ memory_bytes: step.allocatedBytes, fits: fits(planned), parameters: step.parameters, kernels },
  };
}

const titleOf = (gpu: Gpu, { model, batchSize, seqLength, fp16 }: Options): string =>
  `${model} on ${gpu.name}: a step of ${batchSize} × ${seqLength} tokens in ${fp16 ? "f16" : "f32"}`;

const showTime = (seconds: number): string =>
  seconds < 120
    ? `${seconds.toPrecision(3)} s`
    : seconds < 7200
      ? `${(seconds / 60).toPrecision(3)} min`
      : `${(seconds / 3600).toPrecision(3)} h`;

const NOTE =
  "An estimate: kernels, operations and bytes are those of a dry run; rates are shares of the data sheet's peaks as they were measured on an H200\n" +
  "(docs/plan.md). Reading data, evaluating and compiling come on top.\n";

function table(rows: readonly string[][]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}

function report(planned: Planned, options: Options): string {
  const { gpu, step, kernels, deviceMs, stepMs, exchangeMs, waitMs, updates, seconds } = planned;
  const rows = kernels.map(({ kernel, dispatches, flops, bytes, ms, bound }) => [
    ...[
      shortName(kernel),
      `${dispatches}`,
      flops > 0 ? (flops / 1e9).toPrecision(3) : "",
      (bytes / 1e9).toPrecision(3),
    ],
    ...[ms.toFixed(2), `${((100 * ms) / deviceMs).toFixed(1)} %`, bound],
  ]);
  const cost = costOf(planned, options);
  const several =
    options.count > 1
      ? ` + ${waitMs.toFixed(1)} ms for gradients of the others, whose exchange takes ${exchangeMs.toFixed(1)} ms and runs beside backward`
      : "";
  return [
    `${titleOf(gpu, options)}, ${(step.parameters / 1e6).toFixed(1)} M parameters`,
    "",
    ...table([["kernel", "dispatches", "GFLOP", "GB", "ms", "share", "bound by"], ...rows]),
    "",
    `step    ${stepMs.toFixed(1)} ms (${deviceMs.toFixed(1)} on the device)${several}`,
    `memory  ${(step.allocatedBytes / 1e9).toFixed(1)} GB of ${gpu.memory}: ${fits(planned) ? "fits" : "does not fit"}`,
    `recipe  ${showTime(seconds)}: ${updates} updates, ${options.epochs} × ${options.rows} texts${options.count > 1 ? ` on ${options.count} GPUs` : ""}`,
    ...(cost === undefined ? [] : [`cost    ${cost.toFixed(2)}, at ${options.price} an hour for each GPU`]),
    "",
    NOTE,
  ].join("\n");
}

function comparison(plans: readonly Planned[], options: Options): string {
  const rows = plans.map((planned) => [
    ...[planned.gpu.name, planned.stepMs.toFixed(1), showTime(planned.seconds)],
    ...[fits(planned) ? "fits" : "does not fit", costOf(planned, options)?.toFixed(2) ?? ""],
  ]);
  const { model, batchSize, seqLength, fp16, count, epochs } = options;
  return [
    `${model}, steps of ${batchSize} × ${seqLength} tokens in ${fp16 ? "f16" : "f32"}, ${epochs} × ${options.rows} texts, on ${count} GPU${count > 1 ? "s" : ""}`,
    "",
    ...table([["GPU", "ms a step", "recipe", "memory", options.price === undefined ? "" : "cost"], ...rows]),
    "",
    NOTE,
  ].join("\n");
}
