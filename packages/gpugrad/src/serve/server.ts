import { DeviceLostError } from "@gpugrad/tensor";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from "fastify";
import type { Encoded } from "../inputs.ts";
import { scoresOf } from "../scores.ts";
import type { TextModel } from "../text-model.ts";
import { Batcher, QueueFullError } from "./batcher.ts";
import { serveMetrics } from "./metrics.ts";
import { readPredictRequest, RequestError } from "./request.ts";

export interface ServeOptions {
  /** Texts computed together at most. */
  maxBatchSize: number;
  /** Milliseconds that a text waits for others while the device has nothing to do. */
  maxWait: number;
  /** Texts that wait at most; more are refused with 429. */
  maxQueueSize: number;
  /** Texts in one request at most. */
  maxClientBatchSize: number;
  /** Bytes of a request's body at most. */
  maxBodySize: number;
}

/** Milliseconds within which a request has to arrive: a client that sends a byte now and then holds nobody up. */
const REQUEST_TIMEOUT = 30_000;
/** The same at the end: milliseconds until a client that neither finishes its request nor reads its answer is hung up on. */
const CLOSE_TIMEOUT = 3000;
/** Seconds after which to ask again a server that stops, or whose device is lost. */
const RETRY_AFTER = 1;
/** What nginx counts a request as whose client hung up before its answer. */
const CLIENT_GONE = 499;

/**
 * An HTTP server in front of a classifier: `POST /predict` (also `POST /`), `GET /health`, `GET /metrics`. `close()` finishes what was
 * accepted and refuses what comes meanwhile.
 */
export function createServer(model: TextModel, options: ServeOptions): FastifyInstance {
  let toldAt: number | undefined;
  /** Of a device that stays lost, one line, however many batches fail. */
  const tellLoss = (error: unknown): never => {
    if (error instanceof DeviceLostError && toldAt !== model.rebuilds) {
      toldAt = model.rebuilds;
      process.stderr.write(`gpugrad serve: ${error.message}\n`);
    }
    throw error;
  };
  const batcher = new Batcher<Encoded, Float32Array>({
    ...options,
    compute: (batch) => model.compute(batch).catch(tellLoss),
    lengthOf: ({ input_ids }) => input_ids.length,
    onBatch: (event) => metrics.batch(event),
  });
  const metrics = serveMetrics({ queued: () => batcher.queued, rebuilds: () => model.rebuilds });
  const app = Fastify({
    bodyLimit: options.maxBodySize,
    requestTimeout: REQUEST_TIMEOUT,
    return503OnClosing: false, // ours says when to come again
  });
  let isClosing = false;
  app.addHook("preClose", async () => {
    isClosing = true;
    await batcher.close();
    setTimeout(() => app.server.closeAllConnections(), CLOSE_TIMEOUT).unref();
  });
  app.addHook("preHandler", async (request, reply) => {
    if (!isClosing || request.url === "/health") return;
    void reply.header("retry-after", RETRY_AFTER);
    throw new RequestError(503, "stopping", "the server is stopping. Try again, or elsewhere.");
  });
  app.addHook("onSend", async (_, reply) => {
    if (isClosing) void reply.header("connection", "close"); // kept alive, it would keep the server
  });
  app.addHook("onRequest", async ({ routeOptions }, reply) => {
    const start = performance.now();
    reply.raw.once("close", () => {
      const seconds = (performance.now() - start) / 1000;
      const status = reply.raw.writableFinished ? reply.statusCode : CLIENT_GONE;
      metrics.request({ route: routeOptions.url ?? "unknown", status, seconds });
    });
  });

  for (const route of ["/predict", "/"]) {
    app.post(route, async ({ body }, reply) => {
      const { rows, topK, functionToApply } = readPredictRequest(body, options.maxClientBatchSize);
      batcher.checkRoom(rows.length); // before the work of tokenizing: that is what an overloaded server lacks time for
      const logits = await batcher.submit(model.encode(rows), whenGone(reply));
      return logits.map((row) => scoresOf(row, model.config, functionToApply).slice(0, topK));
    });
  }
  app.get("/health", async (_, reply) => {
    const { isReady } = model;
    // A balancer sends nothing else to a server that isn't well, so this question has to bring the device back.
    if (!isReady && !isClosing && batcher.queued === 0)
      batcher.submit(model.encode([{ text: "" }])).catch(() => undefined);
    const status = isClosing ? "stopping" : isReady ? "ok" : "the device failed";
    return reply.code(status === "ok" ? 200 : 503).send({ status });
  });
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));

  app.setNotFoundHandler(({ method, url }) => {
    throw new RequestError(
      404,
      "not_found",
      `no ${method} ${url}. There are POST /predict, GET /health, GET /metrics.`,
    );
  });
  app.setErrorHandler((error: FastifyError, _, reply) => {
    const { statusCode, type, message } = refusal(error, reply, options.maxBodySize);
    return reply.code(statusCode).send({ error: message, error_type: type });
  });
  return app;
}

/** Aborted when the client hangs up before its answer is sent. */
function whenGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

/** Status, type and message of an error: of a request, of Fastify's reading of it, or of the device. */
function refusal(error: FastifyError, reply: FastifyReply, maxBodySize: number): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof QueueFullError) {
    void reply.header("retry-after", error.retryAfter);
    return new RequestError(429, "overloaded", error.message);
  }
  if (error instanceof DeviceLostError) {
    void reply.header("retry-after", RETRY_AFTER);
    return new RequestError(503, "device_lost", "the device was lost, and there is no new one yet. Try again.");
  }
  if (error.name === "AbortError") return new RequestError(CLIENT_GONE, "client_gone", error.message);
  const { statusCode = 500, code } = error;
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new RequestError(413, "too_large", `the body has more than ${maxBodySize} bytes. Send more requests.`);
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return new RequestError(415, "request", `${error.message}. Send JSON, with Content-Type: application/json.`);
  if (statusCode < 500) return new RequestError(statusCode, "request", error.message);
  process.stderr.write(`gpugrad serve: ${error.stack ?? error.message}\n`);
  return new RequestError(statusCode, "backend", error.message);
}
