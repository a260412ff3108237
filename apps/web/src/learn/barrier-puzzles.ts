import type { BarrierPuzzle } from "./puzzle.ts";
import { barrier, memory, read, write, type Invocation } from "../step/workgroup.ts";
import { inAllOrders } from "./race.ts";

const LANES = 8;

const WAIT = barrier("workgroupBarrier();");

/** Σ x by a tree: half of the invocations add what the other half has, then half of these. */
export const treeSum: BarrierPuzzle = {
  kind: "barriers",
  task: "Eight invocations add eight numbers in three steps. They run at the same time, but not at the same speed. Put a workgroupBarrier() where one is needed, and only there.",
  lines: [
    "var<workgroup> part: array<f32, 8>;",
    "",
    "fn sum(lane: u32) {",
    "  part[lane] = x[lane];",
    undefined,
    "  for (var half = 4u; half > 0u; half /= 2u) {",
    undefined,
    "    if (lane < half) {",
    undefined,
    "      part[lane] += part[lane + half];",
    "    }",
    "  }",
    undefined,
    "  if (lane == 0u) { y[0] = part[0]; }",
    "}",
  ],
  fewest: 1,
  solution: [1],
  hints: [
    "Each step reads what others wrote in the step before; the first step reads what they loaded.",
    "One place is passed before every step. Invocation 0 writes part[0] itself, so it needs no barrier to read it.",
  ],
  simulate(barriers) {
    if (barriers.has(2))
      return "Only some invocations come into the if, and the others would never arrive at its barrier: compilers refuse that.";
    const x = Array.from({ length: LANES }, (_, i) => i + 1);
    function* sum(lane: number): Invocation {
      yield write("part[lane] = x[lane]", "part", lane, x[lane]!);
      if (barriers.has(0)) yield WAIT;
      for (let half = LANES / 2; half > 0; half >>= 1) {
        if (barriers.has(1)) yield WAIT;
        if (lane >= half) continue;
        const [mine] = yield read("part[lane] +=", "part", lane);
        const [other] = yield read("part[lane + half]", "part", lane + half);
        yield write("part[lane] +=", "part", lane, mine! + other!);
      }
      if (barriers.has(3)) yield WAIT;
      if (lane > 0) return;
      const [all] = yield read("y[0] = part[0]", "part", 0);
      yield write("y[0] = part[0]", "y", 0, all!);
    }
    const memories = () => [memory("part", "workgroup", 1, LANES), memory("y", "storage", 1, 1)];
    const sums = inAllOrders(LANES, memories, sum).map(({ y }) => y![0]!);
    const wrong = sums.find((y) => y !== 36);
    return wrong === undefined
      ? undefined
      : `The sum of 1 to 8 comes out as ${wrong}, and should be 36: someone read a number before it was there.`;
  },
};

/** c = a · b by tiles of 2 × 2 in workgroup memory. */
export const tiles: BarrierPuzzle = {
  kind: "barriers",
  task: "Four invocations make a 2 × 2 block of a product. For each pair of tiles, each loads one number of a and one of b into workgroup memory, and then all read all of them. Which barriers keep a tile whole while it is read?",
  lines: [
    "var<workgroup> tile_a: array<array<f32, 2>, 2>;",
    "var<workgroup> tile_b: array<array<f32, 2>, 2>;",
    "",
    "fn block(row: u32, col: u32) {",
    "  var sum = 0.0;",
    undefined,
    "  for (var t = 0u; t < inner; t += 2u) {",
    "    tile_a[row][col] = a[row][t + col];",
    "    tile_b[row][col] = b[t + row][col];",
    undefined,
    "    for (var k = 0u; k < 2u; k++) {",
    "      sum += tile_a[row][k] * tile_b[k][col];",
    undefined,
    "    }",
    undefined,
    "  }",
    undefined,
    "  c[row][col] = sum;",
    "}",
  ],
  fewest: 2,
  solution: [1, 3],
  hints: [
    "Two things can go wrong: reading a number that isn't loaded yet, and loading over a number that someone still needs.",
    "One barrier after the loads, one after the last read of the tile, before the next loads.",
  ],
  simulate(barriers) {
    const inner = 6;
    const a = Array.from({ length: 2 * inner }, (_, i) => i + 1);
    const b = Array.from({ length: 2 * inner }, (_, i) => ((i >> 1) + 1) * (i % 2 ? 10 : 1));
    function* block(lane: number): Invocation {
      const [row, col] = [lane >> 1, lane & 1];
      let sum = 0;
      if (barriers.has(0)) yield WAIT;
      for (let t = 0; t < inner; t += 2) {
        yield write("tile_a[row][col] =", "tile_a", lane, a[row * inner + t + col]!);
        yield write("tile_b[row][col] =", "tile_b", lane, b[(t + row) * 2 + col]!);
        if (barriers.has(1)) yield WAIT;
        for (let k = 0; k < 2; k++) {
          const [x] = yield read("sum += tile_a", "tile_a", row * 2 + k);
          const [y] = yield read("sum += tile_a", "tile_b", k * 2 + col);
          sum += x! * y!;
          if (barriers.has(2)) yield WAIT;
        }
        if (barriers.has(3)) yield WAIT;
      }
      if (barriers.has(4)) yield WAIT;
      yield write("c[row][col] = sum", "c", lane, sum);
    }
    const memories = () => [...["tile_a", "tile_b"].map((name) => memory(name, "workgroup", 2, 2)), memory("c", "storage", 2, 2)]; // prettier-ignore
    const results = inAllOrders(4, memories, block).map(({ c }) => c!);
    for (const result of results)
      for (const [lane, value] of result.entries()) {
        const [row, col] = [lane >> 1, lane & 1];
        const right = Array.from({ length: inner }, (_, k) => a[row * inner + k]! * b[2 * k + col]!).reduce((x, y) => x + y); // prettier-ignore
        if (value !== right)
          return `c[${row}][${col}] comes out as ${value}, and should be ${right}: a tile was read before it was whole, or after it was gone.`;
      }
    return undefined;
  },
};
