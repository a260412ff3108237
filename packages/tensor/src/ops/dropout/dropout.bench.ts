import { Generator } from "../../random.ts";
import { benchBackward, benchOp, type BenchCase } from "../../testing/bench-op.ts";
import type { NdArray } from "../../testing/nd-array.ts";
import { keptReference } from "../norm/norm.reference.ts";
import { dropout } from "./dropout.ts";

const P = 0.1;
const sameAgain = Object.assign(new Generator(1), { draw: (n: number) => new Generator(1).draw(n) });

/** What is dropped depends on its position, so the reference takes all of x. */
const reference = (x: NdArray): NdArray => {
  const kept = keptReference(x.data.length, P, new Generator(1));
  return { shape: x.shape, data: x.data.map((v, i) => v * kept[i]!) };
};
const inputs = { shapes: [[2048, 1536]], reference, sliced: 0 };
const options = { p: P, generator: sameAgain };

export const benches: BenchCase[] = [
  benchOp("dropout2048x1536", { ...inputs, op: (x) => dropout(x, options) }),
  benchBackward("dropout2048x1536_bwd", { ...inputs, op: dropout, args: [options], bytes: 8 * 2048 * 1536 }),
];
