import { DeviceLostError } from "@gpugrad/tensor";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from "fastify";
import { version } from "@gpugrad/train";
import { writeError } from "../output.ts";
import type { Encoded, TextModel } from "../text/text-model.ts";
import { Batcher, QueueFullError } from "./batcher.ts";
import { serveMetrics } from "./metrics.ts";
import { checkBody } from "./body.ts";
import { checkHost, corsHeaders, type Origins } from "./origin.ts";
import { RequestError } from "./request.ts";
import { checkFinite, type AnyService, type Serving } from "./service.ts";
import { ROUTES } from "./service-for.ts";
import { textClassification } from "./services/text-classification.ts";

export interface ServeOptions extends Origins {
  /** What the model is called in answers. */
  modelId?: string;
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

/** Milliseconds within which a request has to arrive, its headers sooner: a client that sends a byte now and then holds nobody up. */
const REQUEST_TIMEOUT = 30_000;
const HEADERS_TIMEOUT = 10_000;
/** Milliseconds between looks at what is too slow. */
const TIMEOUT_PRECISION = 1000;
/** Milliseconds that a connection without a request is kept: a balancer's own limit should be below it. */
const KEEP_ALIVE_TIMEOUT = 75_000;
/** Connections at a time; further ones are closed at once. */
const MAX_CONNECTIONS = 1024;
/** Bytes of a request's headers. */
const MAX_HEADER_SIZE = 16 << 10;
/** Milliseconds at the end until a client that neither finishes its request nor reads its answer is hung up on. */
const CLOSE_TIMEOUT = 3000;
/** Values in a body: a text may be an object of two, or of tokens where the service takes them, and there is room for parameters. */
const maxValues = ({ maxClientBatchSize }: ServeOptions, tokens: number): number =>
  (8 + tokens) * maxClientBatchSize + 256;
/** Seconds after which to ask again a server that stops, or whose device is lost. */
const RETRY_AFTER = 1;
/** What nginx counts a request as whose client hung up before its answer. */
const CLIENT_GONE = 499;

/**
 * An HTTP server in front of a model: the service's answers to POST, `GET /info`, `GET /health`, `GET /metrics`. `close()` finishes what was
 * accepted and refuses what comes meanwhile.
 */
export function createServer(
  model: TextModel,
  options: ServeOptions,
  service: AnyService = textClassification,
): FastifyInstance {
  let reportedAt: number | undefined;
  /** Reports a device that stays lost in one line, however many batches fail. */
  const reportLoss = (error: unknown): never => {
    if (error instanceof DeviceLostError && reportedAt !== model.rebuilds) {
      reportedAt = model.rebuilds;
      writeError(`gpugrad serve: ${error.message}\n`);
    }
    throw error;
  };
  const batcher = new Batcher<Encoded, Float32Array>({
    ...options,
    compute: (batch) => model.compute(batch).catch(reportLoss),
    lengthOf: ({ input_ids }) => input_ids.length,
    kindOf: ({ allTokens }) => (allTokens ? "tokens" : "text"),
    onBatch: (event) => metrics.batch(event),
  });
  const metrics = serveMetrics({ queued: () => batcher.queued, rebuilds: () => model.rebuilds });
  const app = Fastify({
    bodyLimit: options.maxBodySize,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    http: {
      headersTimeout: HEADERS_TIMEOUT,
      connectionsCheckingInterval: TIMEOUT_PRECISION,
      maxHeaderSize: MAX_HEADER_SIZE,
    },
    return503OnClosing: false, // ours says when to come again
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>("application/json", { parseAs: "string" }, (request, body, done) => {
    checkBody(body, maxValues(options, service.takesTokens ? model.maxLength : 0));
    return parseJson(request, body, done);
  });
  let isClosing = false;
  app.addHook("preClose", async () => {
    isClosing = true;
    await batcher.close();
    setTimeout(() => app.server.closeAllConnections(), CLOSE_TIMEOUT).unref();
  });
  app.addHook("onSend", async (_, reply) => {
    if (isClosing) void reply.header("connection", "close"); // kept alive, it would keep the server
  });
  app.addHook("onRequest", async ({ routeOptions, headers, method }, reply) => {
    const start = performance.now();
    reply.raw.once("close", () => {
      const seconds = (performance.now() - start) / 1000;
      const status = reply.raw.writableFinished ? reply.statusCode : CLIENT_GONE;
      metrics.request({ route: routeOptions.url ?? "unknown", status, seconds });
    });
    checkHost(headers.host, options);
    const cors = corsHeaders(headers, options);
    void reply.headers(cors);
    if (method === "OPTIONS" && "vary" in cors) return reply.code(204).send();
    if (!isClosing || routeOptions.url === "/health") return;
    void reply.header("retry-after", RETRY_AFTER);
    throw new RequestError(503, "stopping", "the server is stopping. Try again, or elsewhere.");
  });
  /** The numbers of what `encode` makes of so many texts. */
  const compute: Serving["compute"] = async (texts, encode, gone) => {
    const release = batcher.hold(texts); // before the work of tokenizing: that is what an overloaded server lacks time for
    const encoded = await encode().finally(release);
    if (encoded.length > options.maxQueueSize)
      throw new RequestError(
        413,
        "too_many_inputs",
        `inputs: its ${texts} texts make ${encoded.length} to compute; the queue holds ${options.maxQueueSize}. Send shorter ones.`,
      );
    const values = await batcher.submit(encoded, gone);
    checkFinite(values, encoded);
    return { encoded, values };
  };
  const { modelId = "", maxClientBatchSize: maxTexts } = options;
  const answers = service.routes({ model, modelId, maxTexts, compute });
  for (const route of ROUTES) {
    const answer = answers[route];
    if (answer) app.post(route, ({ body }, reply) => answer(body, whenGone(reply)));
    else
      app.post(route, () => {
        throw new RequestError(
          424,
          "backend",
          `POST ${route}: the model is for ${service.name}, and answers ${paths}.`,
        );
      });
  }
  const paths = Object.keys(answers).map((path) => `POST ${path}`).join(", "); // prettier-ignore
  app.get("/info", async () => ({
    ...{
      model_id: modelId,
      model_sha: null,
      model_dtype: model.config.dtype ?? "float32",
      model_type: service.modelType(model),
    },
    ...{ max_concurrent_requests: options.maxQueueSize, max_input_length: model.maxLength },
    ...{ max_batch_tokens: options.maxBatchSize * model.maxLength, max_batch_requests: options.maxBatchSize },
    ...{ max_client_batch_size: maxTexts, auto_truncate: true, tokenization_workers: 1 },
    ...{ version: version(), sha: null, docker_label: null, task: service.name },
  }));
  app.get("/health", async (_, reply) => {
    const { isReady } = model;
    // A balancer sends nothing else to a server that isn't well, so this question has to bring the device back.
    if (!isReady && !isClosing && batcher.queued === 0)
      compute(1, () => model.encode([{ text: "" }])).catch(() => undefined);
    const status = isClosing ? "stopping" : isReady ? "ok" : "the device failed";
    return reply.code(status === "ok" ? 200 : 503).send({ status });
  });
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));

  app.setNotFoundHandler(({ method, url }) => {
    throw new RequestError(
      404,
      "not_found",
      `no ${method} ${url.slice(0, 100)}. There are ${paths}, GET /info, GET /health, GET /metrics.`,
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
  writeError(`gpugrad serve: ${error.stack ?? error.message}\n`);
  return new RequestError(statusCode, "backend", error.message);
}
