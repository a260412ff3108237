import "@gpugrad/autograd";
import { AutoModelForSequenceClassification } from "@gpugrad/bert";
import { destroy, device, init, traceDispatches, type DispatchTime } from "@gpugrad/tensor";
import { formatTable, overlapOf, sumOverRanks, TRAINING_ARGUMENTS, type ExchangeTimes } from "@gpugrad/train";
import { Command } from "commander";
import { writeFile } from "node:fs/promises";
import { writeOutput } from "../output.ts";
import { joinRanks } from "../ranks/session.ts";
import { runCommand } from "../run-command.ts";
import { wholeNumber } from "../text/texts.ts";
import { shortName, traceEvents, type Span } from "./trace-events.ts";
import {
  classifierOf,
  configOfSize,
  sizeNames,
  trainingForward,
  trainingStep,
  type Classifier,
  type StepSizes,
} from "./training-step.ts";

const WARM_UP_MS = 1000;

interface Options extends StepSizes {
  model: string;
  steps: number;
  trace?: string;
  json?: true;
}

/** `gpugrad profile`: how long each kernel of a training step takes on the device. */
export function profile(args: string[]): Promise<number> {
  const command = new Command("gpugrad profile")
    .description("Where the time of a training step goes: a table of its kernels, and a trace that Perfetto opens.")
    .option("--model <id>", `a folder, a hub id, or random weights: ${sizeNames}`, "minilm")
    .option("--batch-size <n>", "texts in a batch", wholeNumber(1), 16)
    .option("--seq-length <n>", "tokens in a text", wholeNumber(1), 128)
    .option("--steps <n>", "steps that are measured, after one that is not", wholeNumber(1), 3)
    .option("--fp16", "mixed precision: factors of products rounded to f16, and a loss scale")
    .option("--trace <file>", "write every dispatch there, for https://ui.perfetto.dev or chrome://tracing")
    .option("--json", 'print [{"kernel", "dispatches", "ms", "share", "gbs", "gflops"}] and nothing else')
    .allowExcessArguments(false);
  return runCommand<Options>(command, args, async (options) => {
    const { isFirst, done } = await joinRanks();
    await init();
    try {
      const model = await open(options);
      const { dispatches, spans } = await measure(model, options);
      if (options.trace !== undefined) await writeFile(options.trace, JSON.stringify(traceEvents(spans, dispatches)));
      const rows = byKernel(dispatches);
      const exchanged = await exchangeOf(model, options);
      done();
      if (isFirst && options.json) await writeOutput(`${JSON.stringify(rows)}\n`);
      else if (isFirst) await writeOutput(report(rows, spans, options) + exchanged);
      return 0;
    } finally {
      await destroy();
    }
  });
}

function open({ model: id, seqLength }: Options): Classifier | Promise<Classifier> {
  const config = configOfSize(id, seqLength);
  return config ? classifierOf(config) : AutoModelForSequenceClassification.fromPretrained(id, { dtype: "f32" });
}

/** Takes steps as the trainer does. What the host does in them is recorded as spans. */
async function measure(model: Classifier, options: Options): Promise<{ dispatches: DispatchTime[]; spans: Span[] }> {
  const spans: Span[] = [];
  const span = <T>(name: string, work: () => T): T => {
    const begin = performance.now();
    const result = work();
    spans.push({ name, begin, end: performance.now() });
    return result;
  };
  const step = trainingStep(model, options, span);
  // The first compiles, and fills the pool of buffers. An idle GPU takes a while to raise its clocks, by a factor of five on an H200.
  const start = performance.now();
  do {
    step();
    await device().finish();
  } while (!device().adapter.cpu && performance.now() - start < WARM_UP_MS);
  spans.length = 0;
  const dispatches = await traceDispatches(async () => {
    for (let i = 0; i < options.steps; i++) {
      step();
      const begin = performance.now();
      await device().finish();
      spans.push({ name: "wait", begin, end: performance.now() });
    }
  });
  return { dispatches, spans };
}

/** How several ranks sum the gradients of such steps while backward continues: a table of the buckets; nothing of one alone. */
async function exchangeOf(model: Classifier, options: Options): Promise<string> {
  const { ranks } = await joinRanks();
  if (ranks.size === 1) return "";
  const all: ExchangeTimes[] = [];
  const bucketCapMb = TRAINING_ARGUMENTS.ddpBucketCapMb.default;
  const exchange = sumOverRanks(ranks, { bucketCapMb, half: false }, (times) => all.push(times));
  const forward = trainingForward(model, options);
  for (let i = 0; i <= options.steps; i++) {
    const loss = forward();
    loss.backward({ onGradient: exchange.watch(({ grad }) => grad!) });
    const parameters = model.parameters().filter(({ grad }) => grad);
    await exchange(parameters.map(({ grad }) => grad!), loss, parameters); // prettier-ignore
    loss.dispose();
    model.zeroGrad();
  }
  all.shift(); // the first learns the order in which backward completes gradients
  const mean = (of: (times: ExchangeTimes) => number): number => sumOf(all, of) / all.length;
  const last = all.at(-1)!;
  const rows = last.buckets.map(({ tensors, bytes, sent, read, begun, met, summed, written }, i) => [
    ...[`${i + 1}`, `${tensors}`, (bytes / 1e6).toFixed(2)],
    ...[sent, read, met - begun, summed - met, written].map((ms) => ms.toFixed(2)),
  ]);
  const table = formatTable([
    ["bucket", "tensors", "MB", "complete", "read", "waiting", "summing", "written"],
    ...rows,
  ]);
  const megabytes = ((2 * (ranks.size - 1)) / ranks.size / 1e6) * sumOf(last.buckets, ({ bytes }) => bytes);
  const [waiting, summing] = [mean(({ buckets }) => sumOf(buckets, ({ begun, met }) => met - begun)), mean(({ buckets }) => sumOf(buckets, ({ met, written }) => written - met))]; // prettier-ignore
  return (
    `\nExchange of gradients between ${ranks.size} ranks: ${megabytes.toFixed(2)} MB sent by each for an update; ${summing.toFixed(2)} ms of summing and writing, ` +
    `${waiting.toFixed(2)} ms of waiting for the others, ${(100 * mean(overlapOf)).toFixed(0)} % of both while backward was under way.\n` +
    `The last one, in milliseconds since its first bucket was complete; backward was over at ${last.backward.toFixed(2)}:\n\n${table}\n`
  );
}

/** A line of the table. */
interface Row {
  kernel: string;
  dispatches: number;
  ms: number;
  /** Of the time of all kernels. */
  share: number;
  /** As if every buffer were read or written once. */
  gbs: number | null;
  /** Of products. */
  gflops: number | null;
}

function byKernel(dispatches: readonly DispatchTime[]): Row[] {
  const groups = new Map<string, DispatchTime[]>();
  for (const dispatch of dispatches) groups.set(dispatch.kernel, [...(groups.get(dispatch.kernel) ?? []), dispatch]);
  const total = sumOf(dispatches, ({ begin, end }) => end - begin);
  const rows = [...groups].map(([kernel, group]): Row => {
    const ms = sumOf(group, ({ begin, end }) => end - begin);
    const perSecond = (amount: number): number | null => (ms > 0 ? amount / ms / 1e6 : null);
    const known = group.every(({ flops }) => flops !== undefined);
    const gflops = known ? perSecond(sumOf(group, ({ flops }) => flops!)) : null;
    const gbs = perSecond(sumOf(group, ({ bytes }) => bytes));
    return { kernel, dispatches: group.length, ms, share: total > 0 ? ms / total : 0, gbs, gflops };
  });
  return rows.sort((a, b) => b.ms - a.ms);
}

const sumOf = <T>(list: readonly T[], value: (item: T) => number): number =>
  list.reduce((sum, item) => sum + value(item), 0);

function report(rows: readonly Row[], spans: readonly Span[], { steps, trace }: Options): string {
  const perStep = (ms: number): string => (ms / steps).toFixed(2);
  const number = (value: number | null): string => (value === null ? "" : value.toPrecision(3));
  const cells = [
    ["kernel", "dispatches", "ms", "share", "GB/s", "GFLOP/s"],
    ...rows.map(({ kernel, dispatches, ms, share, gbs, gflops }) => [
      ...[shortName(kernel), `${dispatches / steps}`, perStep(ms), `${(100 * share).toFixed(1)} %`],
      ...[number(gflops === null ? gbs : null), number(gflops)],
    ]),
  ];
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const line = (row: string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!))).join("  ");
  const host = ["forward", "backward", "optimizer", "wait"].map((name) => {
    const of = spans.filter((span) => span.name === name);
    return `${name} ${perStep(sumOf(of, ({ begin, end }) => end - begin))}`;
  });
  return [
    `${device().adapter.description}, per step:`,
    `device ${perStep(sumOf(rows, ({ ms }) => ms))} ms in ${sumOf(rows, (row) => row.dispatches) / steps} dispatches; host, in ms: ${host.join(", ")}`,
    "",
    ...cells.map((row) => line(row).trimEnd()),
    "",
    "GB/s counts every buffer once: an upper bound where a kernel reads only some rows.",
    ...(trace === undefined ? [] : [`${trace}: open it in https://ui.perfetto.dev or chrome://tracing.`]),
    "",
  ].join("\n");
}
