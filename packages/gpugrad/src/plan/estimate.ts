import type { DispatchWork } from "@gpugrad/tensor";
import type { Gpu } from "./gpus.ts";

/**
 * How fast kernels are, as a share of a GPU's peaks: a roofline with the slopes that were measured on an H200, in a step of BERT-base of 16 × 256
 * tokens (bench/results/2026-11-29-h200.md). Bytes count each buffer once. Kernels for matrix units are bound by the instructions around them, so their
 * rate is a share of the f32 peak as well. Where a kernel has changed since, or takes another's place, its rate is the measured one times `gain`:
 * the static cycles of the loop that was measured by those of today's, as Mesa's compiler for NVIDIA counts them (docs/plan.md).
 */
interface Kind {
  kernels: RegExp;
  /** Of the f32 peak, for what computes. */
  f32?: number;
  gain?: number;
  /** Of the memory's bandwidth. */
  memory: number;
}

const kinds: readonly Kind[] = [
  { kernels: /matmul-subgroup-matrix/, f32: 1.03, gain: 5386 / 3257, memory: 0.4 }, // 30.2 ms for 2.09 TFLOP; cycles of the three forms
  { kernels: /matmul-sum/, memory: 0.49 }, // 1.5 ms
  { kernels: /ops\/matmul\//, f32: 0.405, memory: 0.4 }, // 77.2 ms
  { kernels: /attention-dkv-subgroup-matrix/, f32: 0.118, gain: 38177 / 9428, memory: 0.4 }, // tiled, in f16: 9.8 ms for 77 GFLOP; cycles of 64 × 64 scores
  { kernels: /attention-dq-subgroup-matrix/, f32: 0.108, gain: 25266 / 8288, memory: 0.4 }, // 8.0 ms for 58 GFLOP
  { kernels: /attention-subgroup-matrix/, f32: 0.107, gain: 20390 / 10278, memory: 0.4 }, // 5.4 ms for 39 GFLOP
  { kernels: /attention-dkv/, f32: 0.15, memory: 0.4 }, // 7.7 ms in f32
  { kernels: /attention-dq/, f32: 0.131, memory: 0.4 }, // 6.6 ms
  { kernels: /attention-(naive|online|tiled)/, f32: 0.134, memory: 0.4 }, // 4.3 ms
  { kernels: /ops\/reduce\//, memory: 0.32 }, // column sums: 1.8 ms
  { kernels: /ops\/norm\//, memory: 0.286 }, // 2.3 ms
  { kernels: /adam/, memory: 0.25 }, // 1.7 ms; three of the four buffers are read and written
  { kernels: /./, memory: 0.4 }, // all others together: 2.7 to 3.6 ms
];

/** Of the matrix units' own peak, more than which no kernel gets without instructions that WebGPU has not. */
const MATRIX_SHARE = 0.62;

/** The least that a dispatch takes by its own timestamps, and what passes between one and the next: milliseconds. */
const LEAST_MS = 0.008;
const GAP_MS = 0.008;

/** One line of a plan: all dispatches of a kernel in a step. */
export interface PlannedKernel {
  kernel: string;
  dispatches: number;
  flops: number;
  bytes: number;
  ms: number;
  /** What bounds most of its time. */
  bound: "arithmetic" | "memory" | "dispatches";
}

/** Operations of attention, by pass, where the dispatch doesn't say them: products of queries by keys by head. */
const attentionProducts = (kernel: string): number =>
  /attention-dkv-/.test(kernel)
    ? 4
    : /attention-dq-/.test(kernel)
      ? 3
      : /attention-(naive|online|tiled|subgroup-matrix)/.test(kernel)
        ? 2
        : 0;

/** Expected milliseconds of each kernel of a step on a GPU, longest first. `scores`: B · H · T · T · D of one layer. */
export function estimate(dispatches: readonly DispatchWork[], gpu: Gpu, scores: number): PlannedKernel[] {
  const lines = new Map<string, PlannedKernel & { by: Record<PlannedKernel["bound"], number> }>();
  for (const { kernel, bytes, flops = 2 * attentionProducts(kernel) * scores } of dispatches) {
    const kind = kinds.find(({ kernels }) => kernels.test(kernel))!;
    const cap = kernel.includes("subgroup-matrix") ? MATRIX_SHARE * gpu.matrix : Infinity;
    const { f32 = 0, gain = 1 } = kind;
    const arithmetic = f32 ? flops / (Math.min(f32 * gain * gpu.f32, cap) * 1e9) : 0;
    const memory = bytes / (kind.memory * gpu.bandwidth * 1e6);
    const ms = Math.max(arithmetic, memory, LEAST_MS);
    const bound: PlannedKernel["bound"] = ms === arithmetic ? "arithmetic" : ms === memory ? "memory" : "dispatches";
    const none = { kernel, dispatches: 0, flops: 0, bytes: 0, ms: 0, bound };
    const line = lines.get(kernel) ?? { ...none, by: { arithmetic: 0, memory: 0, dispatches: 0 } };
    lines.set(kernel, line);
    line.dispatches++;
    line.flops += flops;
    line.bytes += bytes;
    line.ms += ms;
    line.by[bound] += ms;
    if (line.by[bound] > line.by[line.bound]) line.bound = bound;
  }
  return [...lines.values()].map(({ by: _, ...line }) => line).sort((a, b) => b.ms - a.ms);
}

/** What a whole recipe takes. */
export interface Recipe {
  /** Texts of the training split, and how often they are gone through. */
  rows: number;
  epochs: number;
  batchSize: number;
  /** GPUs, each with batches of its own. */
  count: number;
}

export interface Plan {
  /** Of one update, on the device and with the gaps between dispatches. */
  deviceMs: number;
  stepMs: number;
  /** To exchange gradients, and what of that is left when backward ends: it adds to the step. */
  exchangeMs: number;
  waitMs: number;
  updates: number;
  seconds: number;
}

/** What GPUs of several machines are connected by. */
export interface Network {
  /** Of each machine, in GB/s, and what passes before a message arrives, in microseconds. */
  gbs: number;
  latencyUs: number;
  /** GPUs of a machine, which share its network. */
  perMachine: number;
}

/** 25 Gbit/s Ethernet, and eight GPUs in a machine. */
export const NETWORK: Network = { gbs: 3.1, latencyUs: 30, perMachine: 8 };

/** What the ranks of a machine move together through its memory, in GB/s: half of what two channels of DDR5 do. */
const HOST_GBS = 50;

/** Bytes of gradients that are sent together: `ddp_bucket_cap_mb`. */
const BUCKET_BYTES = 25 * 2 ** 20;

/** Of a step, what is backward, beside which gradients are exchanged: forward is half of that, and the optimizer some of the rest. */
const BACKWARD = 0.6;

/** What is exchanged: gradients, of which those of the embedding tables are complete only when backward ends. */
export interface Gradients {
  parameters: number;
  embeddings: number;
}

/**
 * Milliseconds to sum gradients over GPUs: each one's go to the host and back, and each rank sends 2 (n - 1) / n of them, over memory
 * within a machine, over its network between several. Buckets overlap the three, so the longest of them counts, and one bucket of the others.
 */
export function exchangeMsOf(gpu: Gpu, parameters: number, count: number, network: Network): number {
  if (count === 1) return 0;
  const { gbs, latencyUs, perMachine } = network;
  const bytes = 4 * parameters;
  const buckets = Math.ceil(bytes / BUCKET_BYTES);
  const device = bytes / (gpu.link * 1e6);
  const share = (2 * bytes * (count - 1)) / count / 1e6;
  const machines = Math.ceil(count / perMachine);
  const ranksHere = Math.min(count, perMachine);
  const wire = Math.max((share * ranksHere) / HOST_GBS, machines > 1 ? (share * ranksHere) / gbs : 0);
  const latency = (2 * buckets * (count - 1) * (machines > 1 ? latencyUs : 1)) / 1000;
  return Math.max(device, wire) + (Math.min(device, wire) + device) / buckets + latency;
}

export function planOf(
  kernels: readonly PlannedKernel[],
  gpu: Gpu,
  gradients: Gradients,
  recipe: Recipe,
  network: Network = NETWORK,
): Plan {
  const { rows, epochs, batchSize, count } = recipe;
  const deviceMs = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const stepMs = deviceMs + GAP_MS * kernels.reduce((sum, { dispatches }) => sum + dispatches, 0);
  const exchangeMs = exchangeMsOf(gpu, gradients.parameters, count, network);
  const waitMs = waitMsOf(exchangeMs, stepMs, gradients);
  const updates = epochs * Math.ceil(rows / (batchSize * count));
  return { deviceMs, stepMs, exchangeMs, waitMs, updates, seconds: (updates * (stepMs + waitMs)) / 1000 };
}

/** What of an exchange is left when backward ends: what it had no time for, and never less than what is complete only then. */
function waitMsOf(exchangeMs: number, stepMs: number, { parameters, embeddings }: Gradients): number {
  return Math.max(exchangeMs - BACKWARD * stepMs, exchangeMs * (embeddings / parameters));
}

/** How an update scales: the same batch on each of more GPUs. */
export interface Scaling {
  count: number;
  stepMs: number;
  exchangeMs: number;
  waitMs: number;
  /** Of what as many GPUs alone would do. */
  efficiency: number;
}

/** Two to 1,024 GPUs. */
export function scalingOf({ stepMs }: Plan, gpu: Gpu, gradients: Gradients, network: Network): Scaling[] {
  return Array.from({ length: 10 }, (_, i) => {
    const count = 2 ** (i + 1);
    const exchangeMs = exchangeMsOf(gpu, gradients.parameters, count, network);
    const waitMs = waitMsOf(exchangeMs, stepMs, gradients);
    return { count, stepMs, exchangeMs, waitMs, efficiency: stepMs / (stepMs + waitMs) };
  });
}
