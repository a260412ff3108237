import type { ChoicePuzzle } from "./puzzle.ts";

const LINE = 32; // numbers of four bytes in 128 bytes

/** How many lines of 128 bytes 32 neighbours touch in one turn, if each reads the element of this index. */
export const linesTouched = (index: (lane: number) => number): number =>
  new Set(Array.from({ length: 32 }, (_, lane) => Math.floor(index(lane) / LINE))).size;

const lines = (index: (lane: number) => number): string => {
  const count = linesTouched(index);
  return `${count} ${count === 1 ? "line" : "lines"} for 32 numbers`;
};

export const coalescing: ChoicePuzzle = {
  kind: "choice",
  task: "x [1024, 256] lies row by row, and 256 invocations add up all of it, 1,024 numbers each: at turn k, invocation i reads one number. Memory answers in lines of 128 bytes. Which index gets the most out of each line?",
  options: [
    {
      text: "x[i * 1024 + k]: everyone has a part in one piece",
      why: `At each turn ${lines((i) => i * 1024)}: neighbours are 4 KB apart.`,
    },
    {
      text: "x[k * 256 + i]: neighbours read neighbours",
      right: true,
      why: `At each turn ${lines((i) => i)}, and all of it is used.`,
    },
    {
      text: "x[i * 4 + k % 4 + (k / 4) * 1024]: four numbers in a row each, then a jump",
      why: `At each turn ${lines((i) => i * 4)}, of which a quarter is used.`,
    },
    {
      text: "It makes no difference: every number is read once",
      why: "It is asked for once, but memory sends whole lines: what counts is how many lines a turn needs.",
    },
  ],
  hints: ["Think of one turn, not of one invocation: what do 32 neighbours ask for at the same moment?"],
};
