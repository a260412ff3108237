import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** How long a server took to answer `GET /health`, and what its clients were answered. */
export interface HostileRun {
  /** Milliseconds, sorted. */
  health: number[];
  /** Answers by status. */
  honest: Record<string, number>;
  hostile: Record<string, number>;
}

/** Asks a server for its health all the time while 16 clients use it, and `hostile` connections send what it should not choke on. */
export async function measureHealth(url: string, seconds: number, hostile: number): Promise<HostileRun> {
  const program = new URL("./serve-clients.mjs", import.meta.url);
  const start = (role: string, count: number) => {
    const worker = new Worker(program, { workerData: { url, role, count } });
    const said = once(worker, "message") as Promise<[Record<string, number>]>;
    return { stop: () => worker.postMessage("stop"), statuses: said.then(([statuses]) => statuses) };
  };
  const clients = [start("honest", 16), ...(hostile > 0 ? [start("hostile", hostile)] : [])];
  const health: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const begin = performance.now();
    const { status } = await fetch(`${url}/health`);
    if (status !== 200) throw new Error(`/health answers ${status}`);
    health.push(performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const { stop } of clients) stop();
  const [honest, other = {}] = await Promise.all(clients.map(({ statuses }) => statuses));
  return { health: health.sort((a, b) => a - b), honest: honest!, hostile: other };
}

/** The value below which a share `q` of the sorted values lies. */
export const quantile = (sorted: readonly number[], q: number): number => sorted[Math.floor(q * (sorted.length - 1))]!;
