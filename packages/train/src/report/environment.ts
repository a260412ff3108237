import { arch, cpus, release, totalmem, type } from "node:os";
import { device } from "@gpugrad/tensor";
import { formatBytes } from "../format.ts";
import { version } from "../version.ts";
import type { Fact } from "./facts.ts";

/** What a run is on: adapter, versions, machine. */
export function environment(): Fact[] {
  const { description, vendor, architecture, via } = device().adapter;
  const driver = device().gpu.adapterInfo?.description;
  const [cpu] = cpus();
  return [
    ["adapter", description],
    ...(driver && driver !== description ? ([["driver", driver]] as Fact[]) : []),
    ["found as", [via, vendor, architecture].filter(Boolean).join(", ")],
    ["gpugrad", version()],
    ["Node", process.versions.node],
    ["system", `${type()} ${release()}, ${arch()}`],
    ["processor", `${cpu ? `${cpu.model.trim()}, ` : ""}${cpus().length} threads`],
    ["memory", formatBytes(totalmem())],
  ];
}
