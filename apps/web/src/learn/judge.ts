import { empty, kernel, run, scope, ShaderError, type Tensor } from "@gpugrad/tensor";
import type { CodePuzzle, Trial, Verdict } from "./puzzle.ts";

/** How far a number may be from the one in f64, for its size. */
const TOLERANCE = 1e-4;

/** The whole kernel with this in the gap. */
export const assemble = ({ before, after }: CodePuzzle, answer: string): string => `${before}${answer}\n${after}`;

/** Compiles an answer, runs it on every trial, and compares. The device has to be open. */
export async function judge(puzzle: CodePuzzle, answer: string): Promise<Verdict> {
  try {
    for (const trial of puzzle.trials()) {
      const problem = compare(trial, await outputOf(puzzle, answer, trial));
      if (problem) return { right: false, message: `With ${trial.name}: ${problem}` };
    }
  } catch (error) {
    if (error instanceof ShaderError) return { right: false, message: `It doesn't compile. ${error.message}` };
    throw error;
  }
  return { right: true, message: "Right, in every trial." };
}

async function outputOf(puzzle: CodePuzzle, answer: string, trial: Trial): Promise<Float32Array> {
  const compiled = kernel("your answer", assemble(puzzle, answer));
  const { read } = scope(() => {
    const tensors: Record<string, Tensor> = {};
    for (const [name, values] of Object.entries(trial.buffers)) {
      tensors[name] = empty([values.length]);
      tensors[name].write(values);
    }
    run(compiled, tensors, trial.params, { threads: trial.threads });
    return { read: tensors[trial.output]!.data() };
  });
  return (await read) as Float32Array;
}

function compare({ output, expected }: Trial, values: Float32Array): string | undefined {
  for (const [i, value] of values.entries()) {
    const right = expected[i]!;
    if (Math.abs(value - right) <= TOLERANCE * Math.max(1, Math.abs(right))) continue;
    return `${output}[${i}] is ${short(value)}, and should be ${short(right)}.`;
  }
  return undefined;
}

const short = (value: number): string => (Number.isInteger(value) ? `${value}` : value.toPrecision(5));
