// A process that takes locks when it is asked to: see ../src/checkpoint/lock.test.ts.
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { lockFolder } from "../src/checkpoint/lock.ts";

export type Order = { take: string } | { release: true } | { turns: number; folder: string };

let release: (() => Promise<void>) | undefined;

process.on("message", (order: Order) => void obey(order).then((word) => process.send!(word)));
process.send!("ready");

async function obey(order: Order): Promise<string> {
  if ("turns" in order) return takeTurns(order);
  if ("release" in order) {
    await release!();
    return "released";
  }
  try {
    release = await lockFolder(order.take);
    return "held";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Takes the folder and gives it back, as often as it can: how often another process was inside, too. */
async function takeTurns({ turns, folder }: { turns: number; folder: string }): Promise<string> {
  const inside = join(folder, "inside");
  let [taken, together] = [0, 0];
  for (let turn = 0; turn < turns; turn++) {
    const give = await lockFolder(folder).catch(() => undefined);
    if (!give) continue;
    taken++;
    try {
      closeSync(openSync(inside, "wx"));
      await new Promise((resolve) => setImmediate(resolve));
      rmSync(inside);
    } catch {
      together++;
    }
    await give();
  }
  return JSON.stringify({ taken, together });
}
