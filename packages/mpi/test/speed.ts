// mpirun -np 4 node scripts/run.mjs packages/mpi/test/speed.ts: what a sum over the ranks takes, by bytes, and what waiting for a late rank costs.
import { joinMpi } from "@gpugrad/mpi";

const mpi = await joinMpi();
const processorMs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};
for (const [bytes, times] of [
  [2 ** 10, 50],
  [2 ** 18, 50],
  [25 * 2 ** 20, 10],
] as const) {
  const values = new Float32Array(bytes / 4).fill(1);
  await mpi.allReduce(values);
  await mpi.barrier();
  const [begin, processor] = [performance.now(), process.cpuUsage()];
  for (let i = 0; i < times; i++) await mpi.allReduce(values);
  const [ms, busy] = [performance.now() - begin, processorMs(processor)].map((all) => (all / times).toFixed(2));
  if (mpi.rank === 0) console.log(`${bytes} bytes: ${ms} ms, ${busy} of them on the processor`);
}
if (mpi.rank === 0) await new Promise((later) => setTimeout(later, 500));
const processor = process.cpuUsage();
await mpi.barrier();
if (mpi.rank === 1) console.log(`500 ms for a late rank: ${processorMs(processor).toFixed(0)} ms on the processor`);
await mpi.close();
