import { treeSum, tiles } from "./barrier-puzzles.ts";
import { coalescing } from "./choice-puzzles.ts";
import * as code from "./code-puzzles.ts";
import type { Puzzle } from "./puzzle.ts";

/** The course: a page each in `pages/learn/`, under its puzzle's name, in the order in which to read them. */
export const course: readonly { page: string; title: string; puzzle: Puzzle }[] = [
  { page: "invocations", title: "One invocation, one element", puzzle: code.invocations },
  { page: "memory", title: "Memory comes in lines", puzzle: coalescing },
  { page: "reductions", title: "Adding up together", puzzle: treeSum },
  { page: "softmax", title: "Softmax without overflow", puzzle: code.stableSoftmax },
  { page: "layer-norm", title: "Two passes for a variance", puzzle: code.variance },
  { page: "matmul", title: "A product, one element each", puzzle: code.naiveMatmul },
  { page: "tiles", title: "Tiles, and two barriers", puzzle: tiles },
  { page: "online-softmax", title: "Attention in one pass", puzzle: code.onlineSoftmax },
  { page: "backward", title: "Backward through softmax", puzzle: code.softmaxBackward },
  { page: "attention-backward", title: "Who owns dk and dv", puzzle: code.ownerOfKeys },
];
