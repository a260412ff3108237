// pnpm check:kernels [REGEX]: compares every op, with every kernel of its ladder that this adapter can run, with float64 at sizes of BERT's.
// Prints a line for each, and ends with exit code 1 where one is wrong. With a regular expression only cases whose names match it.
import { destroy, init } from "@gpugrad/tensor";
import { checkKernels } from "@gpugrad/tensor/checks";

const pattern = new RegExp(process.argv.slice(2).filter((arg) => arg !== "--")[0] ?? ".");
const { adapter } = await init({ leaveOut: [] }); // what is left out is tried as well
console.log(adapter.description);
let [right, wrong] = [0, 0];
for await (const { case: name, kernels, problem } of checkKernels({
  everyRung: true,
  only: (name) => pattern.test(name),
})) {
  if (problem) wrong++;
  else right++;
  console.log(
    `${problem ? "WRONG" : "right"} ${name}${kernels.length > 0 ? ` (${kernels.join(", ")})` : ""}${problem ? `: ${problem}` : ""}`,
  );
}
console.log(`${right} right, ${wrong} wrong`);
await destroy();
process.exitCode = wrong > 0 ? 1 : 0;
