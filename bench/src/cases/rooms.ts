import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BenchCase } from "../../../packages/tensor/src/testing/bench-op.ts";

const ops = new URL("../../../packages/tensor/src/ops/", import.meta.url);

/** The cases of each room: all that its `*.bench.ts` files export as `benches`. */
export async function loadRooms(): Promise<Map<string, BenchCase[]>> {
  const rooms = new Map<string, BenchCase[]>();
  const files = readdirSync(fileURLToPath(ops), { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => name.endsWith(".bench.ts")).sort()) {
    const { benches } = (await import(new URL(file.replaceAll("\\", "/"), ops).href)) as { benches: BenchCase[] };
    const room = file.split(/[\\/]/)[0]!;
    rooms.set(room, [...(rooms.get(room) ?? []), ...benches]);
  }
  return rooms;
}
