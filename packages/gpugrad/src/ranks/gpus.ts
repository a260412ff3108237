import { existsSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";

/** A GPU of this machine, as the kernel lists it. */
export interface Card {
  /** Where it is on the PCI bus: `0000:01:00.0`. */
  bus: string;
  driver: string;
}

/** Variables that choose a GPU: where one of them is set, nothing is chosen here. */
const CHOICES = ["GPUGRAD_ADAPTER", "DRI_PRIME", "MESA_VK_DEVICE_SELECT", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/** The GPUs of this machine, by their places on the bus; none where the system doesn't list them. */
export function cardsHere(root = "/"): Card[] {
  const cards = new Map<string, Card>();
  const drm = join(root, "sys/class/drm");
  for (const name of listed(drm).filter((entry) => entry.startsWith("renderD"))) {
    const place = realpathSync(join(drm, name, "device"));
    const driver = join(place, "driver");
    const bus = basename(place);
    if (isBus(bus)) cards.set(bus, { bus, driver: existsSync(driver) ? basename(realpathSync(driver)) : "unknown" });
  }
  // NVIDIA's driver lists its cards here, whether or not they are under /sys/class/drm.
  for (const bus of listed(join(root, "proc/driver/nvidia/gpus")).filter(isBus))
    cards.set(bus, { bus, driver: "nvidia" });
  return [...cards.values()].sort((a, b) => (a.bus < b.bus ? -1 : 1));
}

const listed = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
const isBus = (name: string): boolean => /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/i.test(name);

/**
 * Has this rank's share of the machine's GPUs chosen, before the device is made: Mesa's layer for Vulkan takes a place on the bus, and then
 * shows that GPU alone, of whatever driver. Nothing where there is one GPU, or the environment has chosen.
 */
export function chooseCard(
  localRank: number,
  cards: readonly Card[] = cardsHere(),
  env: Record<string, string | undefined> = process.env,
): Card | undefined {
  if (cards.length < 2 || CHOICES.some((name) => env[name] !== undefined)) return undefined;
  const card = cards[localRank % cards.length]!;
  env["DRI_PRIME"] = `pci-${card.bus.replace(/[:.]/g, "_")}!`;
  return card;
}

/** What a rank computes on. */
export interface RankDevice {
  host: string;
  description: string;
  cpu: boolean;
  /** The devices of GPUs that its process has opened. */
  files: readonly string[];
}

/** The devices of GPUs that this process has opened: Vulkan itself doesn't say which one it has. */
export function openDevices(): string[] {
  const folder = "/proc/self/fd";
  const targets = listed(folder).flatMap((fd) => {
    try {
      return [readlinkSync(join(folder, fd))];
    } catch {
      return []; // of the listing itself
    }
  });
  return [...new Set(targets.filter((path) => /^\/dev\/(dri\/renderD\d+|nvidia\d+)$/.test(path)))].sort();
}

/** What is wrong with how ranks are spread over GPUs, in words. */
export function sharedCards(devices: readonly RankDevice[]): string[] {
  const groups = new Map<string, number[]>();
  devices.forEach((device, rank) => {
    const key = JSON.stringify(device);
    groups.set(key, [...(groups.get(key) ?? []), rank]);
  });
  return [...groups].flatMap(([key, ranks]) => {
    if (ranks.length < 2) return [];
    const { host, description, cpu, files } = JSON.parse(key) as RankDevice;
    const who = `ranks ${ranks.join(", ")} on ${host}`;
    if (cpu)
      return [`${who} compute on the same processor (${description}): the numbers are right, and nothing is faster.`];
    const what =
      files.length === 1 ? `share one GPU (${description}, ${files[0]})` : `may share one GPU (${description})`;
    return [`${who} ${what}. Give each its own: see "Which GPU" in docs/many-gpus.md.`];
  });
}
