import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ended, loaders, type Ended } from "./launchers.ts";

const AGENT = fileURLToPath(new URL("namespace-agent.sh", import.meta.url));

/** Two hosts that are network namespaces of this machine, with a cable between them: each has an address and a host name of its own. */
export interface TwoHosts {
  names: readonly [string, string];
  /** Runs a program of the repository in one rank of each host, by Open MPI over TCP. */
  run(words: readonly string[]): Promise<Ended>;
  /** Bytes that the first has sent to the second so far. */
  sentBytes(): number;
  close(): void;
}

const ip = (...words: string[]): string => {
  const { status, stdout, stderr, error } = spawnSync("ip", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout;
};

/** Makes them. @throws where this process may not, or `ip` is missing */
export function twoHosts(): TwoHosts {
  const names = [`gpugrad-${process.pid}-a`, `gpugrad-${process.pid}-b`] as const;
  const addresses = ["10.77.0.1", "10.77.0.2"];
  const [cable, otherEnd] = [`gg${process.pid}a`, `gg${process.pid}b`];
  const close = (): void => void names.forEach((name) => spawnSync("ip", ["netns", "del", name])); // the cable goes with them
  try {
    for (const name of names) ip("netns", "add", name);
    ip("link", "add", cable, "netns", names[0], "type", "veth", "peer", "name", otherEnd, "netns", names[1]);
    for (const [i, end] of [cable, otherEnd].entries()) {
      ip("-n", names[i]!, "addr", "add", `${addresses[i]}/24`, "dev", end);
      for (const device of [end, "lo"]) ip("-n", names[i]!, "link", "set", device, "up");
    }
  } catch (error) {
    close();
    throw error;
  }
  const hosts = addresses.map((address, i) => `${address}=${names[i]}`).join(" ");
  const network = "10.77.0.0/24";
  const mpirun = [
    ...["mpirun.openmpi", "--host", addresses.map((address) => `${address}:1`).join(), "-np", "2"],
    ...["--mca", "plm_rsh_agent", AGENT, "--mca", "btl", "tcp,self", "--mca", "pml", "ob1"],
    ...["--mca", "btl_tcp_if_include", network, "--mca", "oob_tcp_if_include", network],
    ...["-x", "GPUGRAD_ADAPTER", "-x", "GPUGRAD_HOSTS", "--wdir", fileURLToPath(new URL("..", import.meta.url))],
  ];
  return {
    names,
    run: (words) =>
      ended(AGENT, [addresses[0]!, ...mpirun, process.execPath, ...loaders, ...words], undefined, {
        GPUGRAD_HOSTS: hosts,
      }),
    sentBytes: () => Number(ip("netns", "exec", names[0], "cat", `/sys/class/net/${cable}/statistics/tx_bytes`)),
    close,
  };
}
