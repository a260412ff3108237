// Every collective call once, as each rank: what it gives is printed as one line of JSON.
import { joinMpi } from "@gpugrad/mpi";

const mpi = await joinMpi();
const { rank, size } = mpi;
await mpi.barrier();
const numbers = Float32Array.from({ length: 7 }, (_, i) => 10 * rank + i);
await mpi.allReduce(numbers);
const most = Float32Array.of(rank, 5 - rank);
await mpi.allReduce(most, "max");
// Their sum depends on the order: (1e8 + -1e8) + 1, but 1e8 + (-1e8 + 1) is 0 in f32.
const inOrder = Float32Array.of([1e8, -1e8, 1][rank % 3]!);
await mpi.allReduce(inOrder);
const halves = Uint16Array.of(0x3c00, 0x3800); // 1 and 0.5
await mpi.allReduce(halves);
const long = "x".repeat(3000 + rank);
const group = await mpi.split(rank % 2);
let waited = 0;
const ticking = setInterval(() => waited++, 2);
if (rank === 0) await new Promise((later) => setTimeout(later, 200));
await mpi.barrier(); // the event loop runs on while the others wait
clearInterval(ticking);
const results = {
  ...{ rank, size, hosts: mpi.hosts.length, version: mpi.version },
  ...{ numbers: [...numbers], most: [...most], inOrder: inOrder[0], halves: [...halves] },
  broadcast: await mpi.broadcast(rank === 1 ? { from: rank, values: new Float64Array([NaN, 2]) } : null, 1),
  small: await mpi.allGather({ rank }),
  long: (await mpi.allGather(long)).map((text) => text.length),
  group: [group.rank, group.size, await group.allGather(rank)],
  ticked: waited > 10,
};
process.stdout.write(`${JSON.stringify(results)}\n`);
await mpi.close();
