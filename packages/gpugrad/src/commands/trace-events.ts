import type { DispatchTime } from "@gpugrad/tensor";

/** A stretch of time on the host, in milliseconds on the scale of `performance.now()`. */
export interface Span {
  name: string;
  begin: number;
  end: number;
}

/** One entry of a trace: `X` is a stretch of time, `M` the name of a process or thread. Times are microseconds. */
export interface TraceEvent {
  name: string;
  ph: "X" | "M";
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  args?: Record<string, string | number>;
}

const HOST = 1;
const DEVICE = 2;

/**
 * Host and device side by side, as Perfetto (https://ui.perfetto.dev) and chrome://tracing open it. Time begins with the first event.
 * @see https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (Trace Event Format)
 */
export function traceEvents(
  spans: readonly Span[],
  dispatches: readonly DispatchTime[],
): { traceEvents: TraceEvent[] } {
  const zero = [...spans, ...dispatches].reduce((least, { begin }) => Math.min(least, begin), Infinity);
  const event = (tid: number, name: string, { begin, end }: { begin: number; end: number }): TraceEvent => ({
    ...{ name, ph: "X", pid: 1, tid, ts: 1000 * (begin - zero), dur: 1000 * (end - begin) },
  });
  const named = (name: string, tid: number, text: string): TraceEvent => ({
    ...{ name, ph: "M", pid: 1, tid, args: { name: text } },
  });
  return {
    traceEvents: [
      named("process_name", HOST, "gpugrad"),
      named("thread_name", HOST, "host: recording"),
      named("thread_name", DEVICE, "device: kernels"),
      ...spans.map((span) => event(HOST, span.name, span)),
      ...dispatches.map((d) => ({
        ...event(DEVICE, shortName(d.kernel), d),
        args: { kernel: d.kernel, bytes: d.bytes, ...(d.flops !== undefined && { flops: d.flops }) },
      })),
    ],
  };
}

/** A kernel's file without its folder and ending. */
export const shortName = (kernel: string): string => kernel.replace(/^.*\/|\.wgsl$/g, "");
