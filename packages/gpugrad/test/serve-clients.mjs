// The program of a thread that sends requests to a server until it is asked to stop: `honest` clients, who send a text, wait for the
// answer and send the next, or a `hostile` one. A thread of its own, so that its work doesn't delay what others measure.
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { url, role, count } = workerData;
const statuses = {};
let isOver = false;

async function post(body, headers = {}) {
  const sent = request(`${url}/predict`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  sent.end(body);
  const [response] = await once(sent, "response");
  response.resume();
  await once(response, "end");
  statuses[response.statusCode] = (statuses[response.statusCode] ?? 0) + 1;
}

const MB = 1_000_000;
const inputs = (value) => JSON.stringify({ inputs: value });
const bodies = [
  inputs("a fine film ".repeat(MB / 12)),
  inputs("[SEP]".repeat(MB / 5)),
  inputs("a [MASK] ".repeat(MB / 9)),
  inputs("x".repeat(MB)),
  inputs("\u0301".repeat(MB / 2)),
  inputs(Array.from({ length: 32 }, () => "a fine film ".repeat(2500))),
  `{"inputs": ${"[".repeat(MB)}`,
  `{"inputs": ${'{"text":'.repeat(MB / 8)}`,
  `{"inputs": [${"1,".repeat(MB / 2 - 20)}1]}`,
  `{"inputs": "${"\\".repeat(MB / 2)}`,
  inputs("a".repeat(3 * MB)),
  "\u0000".repeat(MB),
  inputs([1, null, { text: [] }, { text_pair: {} }]),
];

/** A request whose body comes a byte now and then. */
async function trickle() {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).on("error", () => undefined);
  socket.write(
    `POST /predict HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n`,
  );
  while (!isOver && !socket.destroyed) {
    socket.write("{");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.destroy();
}

async function client(k) {
  for (let i = k; !isOver; i++) {
    const body = role === "hostile" ? bodies[i % bodies.length] : inputs("a fine film ".repeat(1 + (i % 7)));
    await post(body).catch(() => (statuses.closed = (statuses.closed ?? 0) + 1)); // a body that is too large is not read to its end
  }
}

parentPort.on("message", () => (isOver = true));
const slow = role === "hostile" ? Array.from({ length: 50 }, trickle) : [];
await Promise.all([...Array.from({ length: count }, (_, k) => client(k)), ...slow]);
parentPort.postMessage(statuses);
parentPort.close();
