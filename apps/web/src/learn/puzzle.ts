/** Inputs of one dispatch, and what has to come out. */
export interface Trial {
  /** What is special about it, for the verdict: "scores near 100". */
  name: string;
  /** Numbers by the names of the kernel's bindings; the output's are what it holds before. */
  buffers: Record<string, Float32Array>;
  params: Record<string, number>;
  /** Invocations in all. */
  threads: number;
  /** The binding that is compared. */
  output: string;
  /** In f64, as long as the output. */
  expected: ArrayLike<number>;
}

/** A kernel with a piece missing, which is run on the device. */
export interface CodePuzzle {
  kind: "code";
  task: string;
  /** The WGSL before and after what is written. */
  before: string;
  after: string;
  /** What the editor starts with: compiles, and is wrong. */
  start: string;
  solution: string;
  hints: readonly string[];
  trials(): Trial[];
}

/** A kernel into which barriers go, which is simulated: see race.ts. */
export interface BarrierPuzzle {
  kind: "barriers";
  task: string;
  /** The WGSL, line by line; `undefined` is a place for a barrier. */
  lines: readonly (string | undefined)[];
  /** How few are enough. */
  fewest: number;
  solution: readonly number[];
  hints: readonly string[];
  /** Runs it in any order that the barriers allow. Gives the first thing that goes wrong, in a sentence. */
  simulate(barriers: ReadonlySet<number>): string | undefined;
}

/** A question with one right answer. */
export interface ChoicePuzzle {
  kind: "choice";
  task: string;
  options: readonly { text: string; right?: true; why: string }[];
  hints: readonly string[];
}

export type Puzzle = CodePuzzle | BarrierPuzzle | ChoicePuzzle;

export interface Verdict {
  right: boolean;
  message: string;
}
