import { describe, expect, test } from "vitest";
import { loopback } from "@gpugrad/train";
import { launchers, mpirun } from "../../../scripts/launchers.ts";

if (launchers.length === 0)
  console.warn("No mpirun here (apt-get install openmpi-bin libopenmpi3): its tests are skipped.");

describe.skipIf(launchers.length === 0).each(launchers)("$name", (launcher) => {
  test("three ranks: what each call gives", async () => {
    const { code, stdout, stderr } = await mpirun(launcher, 3, ["packages/mpi/test/collectives.ts"]);
    expect(code, stderr).toBe(0);
    const results = stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as { rank: number; version: string; group: unknown[] })
      .sort((a, b) => a.rank - b.rank);
    expect(results.map(({ rank }) => rank)).toEqual([0, 1, 2]);
    for (const { rank, version, group, ...others } of results) {
      expect(version).toMatch(launcher.name);
      expect(group).toEqual(rank === 1 ? [0, 1, [1]] : [rank / 2, 2, [0, 2]]);
      expect(others).toEqual({
        ...{ size: 3, hosts: 3, numbers: [30, 33, 36, 39, 42, 45, 48], most: [2, 5], inOrder: 1 },
        halves: [0x4200, 0x3e00], // 3 and 1.5
        broadcast: { from: 1, values: { 0: null, 1: 2 } }, // JSON has no NaN
        ...{ small: [{ rank: 0 }, { rank: 1 }, { rank: 2 }], long: [3000, 3001, 3002] },
        ticked: rank === 0 ? (expect.any(Boolean) as boolean) : true,
      });
    }
  });
});

test("the loopback gives the same", async () => {
  const all = await Promise.all(
    loopback(3).map(async (ranks) => {
      const { rank } = ranks;
      await ranks.barrier();
      const numbers = Float32Array.from({ length: 7 }, (_, i) => 10 * rank + i);
      await ranks.allReduce(numbers);
      const most = Float32Array.of(rank, 5 - rank);
      await ranks.allReduce(most, "max");
      const inOrder = Float32Array.of([1e8, -1e8, 1][rank]!);
      await ranks.allReduce(inOrder);
      const halves = Uint16Array.of(0x3c00, 0x3800);
      await ranks.allReduce(halves);
      const group = await ranks.split(rank % 2);
      return {
        ...{ numbers: [...numbers], most: [...most], inOrder: inOrder[0], halves: [...halves] },
        broadcast: await ranks.broadcast(rank, 1),
        group: [group.rank, group.size, await group.allGather(rank)],
      };
    }),
  );
  all.forEach((own, rank) =>
    expect(own).toEqual({
      ...{ numbers: [30, 33, 36, 39, 42, 45, 48], most: [2, 5], inOrder: 1, halves: [0x4200, 0x3e00], broadcast: 1 },
      group: rank === 1 ? [0, 1, [1]] : [rank / 2, 2, [0, 2]],
    }),
  );
});
