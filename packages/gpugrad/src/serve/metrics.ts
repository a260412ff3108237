import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BatchEvent } from "./batcher.ts";

/** What is counted and timed. */
export interface ServeMetrics {
  request(event: { route: string; status: number; seconds: number }): void;
  batch(event: BatchEvent): void;
  /** All of it in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];

/** Metrics of a server, and of its process (memory, processor time, delay of the event loop). */
export function serveMetrics(count: { queued: () => number; rebuilds: () => number }): ServeMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "gpugrad_requests_total",
    help: "Requests by route and status.",
    labelNames: ["route", "status"],
    registers,
  });
  const requestSeconds = new Histogram({
    name: "gpugrad_request_duration_seconds",
    help: "From a request's headers to the end of its answer.",
    labelNames: ["route"],
    buckets: SECONDS,
    registers,
  });
  const batchSize = new Histogram({
    name: "gpugrad_batch_size",
    help: "Texts computed together.",
    buckets: SIZES,
    registers,
  });
  const batchSeconds = new Histogram({
    name: "gpugrad_batch_duration_seconds",
    help: "What a batch takes on the device, with its way there and back.",
    buckets: SECONDS,
    registers,
  });
  const queueSeconds = new Histogram({
    name: "gpugrad_queue_duration_seconds",
    help: "What a text waits for its batch to begin.",
    buckets: SECONDS,
    registers,
  });
  const tokens = new Counter({
    name: "gpugrad_tokens_total",
    help: "Tokens computed: of texts, and of padding.",
    labelNames: ["kind"],
    registers,
  });
  new Gauge({
    name: "gpugrad_queue_size",
    help: "Texts that wait.",
    registers,
    collect() {
      this.set(count.queued());
    },
  });
  new Counter({
    name: "gpugrad_device_rebuilds_total",
    help: "New devices in place of lost ones.",
    registers,
    collect() {
      this.reset();
      this.inc(count.rebuilds());
    },
  });
  return {
    request({ route, status, seconds }) {
      requests.inc({ route, status });
      requestSeconds.observe({ route }, seconds);
    },
    batch(event) {
      batchSize.observe(event.size);
      batchSeconds.observe(event.seconds);
      for (const seconds of event.waited) queueSeconds.observe(seconds);
      tokens.inc({ kind: "text" }, event.tokens);
      tokens.inc({ kind: "padding" }, event.paddedTokens - event.tokens);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
