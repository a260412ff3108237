import naiveCode from "../../../../packages/tensor/src/ops/matmul/matmul-naive.wgsl";
import registersCode from "../../../../packages/tensor/src/ops/matmul/matmul-tiled.wgsl";
import tileCode from "../../../../packages/tensor/src/ops/matmul/matmul-workgroup-tile.wgsl";
import { smallNumbers, type Model } from "./model.ts";
import { barrier, memory, read, set, simulate, write, type Invocation, type Memory } from "./workgroup.ts";

/** C [8, 8] = A [8, 8] · B [8, 8]. */
export const N = 8;
const SIDE = 4; // of the tile that matmul-workgroup-tile.wgsl makes: 16 there
const INVOCATIONS = 16;
const LINE_OF_MEMORY = 4;
const BANKS = 8;

export const MATMUL_KERNELS = {
  naive: "matmul-naive.wgsl",
  workgroupTile: "matmul-workgroup-tile.wgsl",
  registers: "matmul-tiled.wgsl",
};

export interface MatmulOptions {
  kernel: keyof typeof MATMUL_KERNELS;
  /** Which quarter of C; the tile in registers is all of it. */
  group: number;
  /** A is stored by columns, as aᵀ. */
  transposeA: boolean;
  /** A line of a tile is one longer than the tile. */
  padded: boolean;
  subgroup: number;
  /** Barriers that are left out, by a piece of their comment. */
  without: readonly string[];
}

export const MATMUL_BARRIERS: Record<MatmulOptions["kernel"], string[]> = {
  naive: [],
  workgroupTile: ["the tiles are whole", "nobody reads them any more"],
  registers: ["nobody reads the tiles any more", "the tiles are whole"],
};

/** Where element (row, col) of A lies. */
const ofA = ({ transposeA }: MatmulOptions, row: number, k: number): number => (transposeA ? k * N + row : row * N + k);

/** matmul-naive.wgsl: 16 neighbouring elements of C. */
function* naive(lane: number, options: MatmulOptions): Invocation {
  const i = options.group * INVOCATIONS + lane;
  const [row, col] = [Math.floor(i / N), i % N];
  const line = "part += rounded(a[row_of_a";
  let sum = 0;
  for (let k = 0; k < N; k++) {
    const [x] = yield read(line, "a", ofA(options, row, k));
    const [y] = yield read(line, "b", k * N + col);
    sum += x! * y!;
    yield set("sum", lane, sum);
  }
  yield write("c[at] = sum;", "c", row * N + col, sum);
}

/** matmul-workgroup-tile.wgsl, with a tile of 4 × 4 in place of 16 × 16. */
function* workgroupTile(lane: number, options: MatmulOptions): Invocation {
  const [whole, free] = MATMUL_BARRIERS.workgroupTile as [string, string];
  const pitch = SIDE + Number(options.padded);
  const [x, y] = [lane % SIDE, Math.floor(lane / SIDE)];
  const [row, col] = [Math.floor(options.group / 2) * SIDE, (options.group % 2) * SIDE];
  const [rowOfA, kOfA] = options.transposeA ? [x, y] : [y, x];
  let sum = 0;
  for (let k0 = 0; k0 < N; k0 += SIDE) {
    const [fromA] = yield read("from_a = a[", "a", ofA(options, row + rowOfA, k0 + kOfA));
    const [fromB] = yield read("from_b = b[", "b", (k0 + y) * N + col + x);
    yield write("a_tile[of_a.x][of_a.y] =", "a_tile", rowOfA * pitch + kOfA, fromA!);
    yield write("b_tile[of_b.x][of_b.y] =", "b_tile", y * pitch + x, fromB!);
    if (!options.without.includes(whole)) yield barrier(whole);
    for (let k = 0; k < SIDE; k++) {
      const line = "part += a_tile[id.y][k]";
      const [a] = yield read(line, "a_tile", y * pitch + k);
      const [b] = yield read(line, "b_tile", k * pitch + x);
      sum += a! * b!;
      yield set("sum", lane, sum);
    }
    if (!options.without.includes(free)) yield barrier(free);
  }
  yield write("c[at] = sum;", "c", (row + y) * N + col + x, sum);
}

/**
 * matmul-tiled.wgsl with SIDE = 1, at a scale of one: where that has vec4s of rows and blocks of 4 × 4 here are single rows, so an invocation
 * makes 2 × 2 of C in place of 8 × 8, and a tile has 8 × 8 elements in place of 64 × 64.
 */
function* registers(lane: number, options: MatmulOptions): Invocation {
  const [free, whole] = MATMUL_BARRIERS.registers as [string, string];
  const [DEPTH, LINE, HALF] = [4, N, INVOCATIONS / 2];
  const TILE = DEPTH * LINE;
  const [x, y] = [lane % SIDE, Math.floor(lane / SIDE)];
  const isA = lane < HALF;
  const line = lane % HALF; // a row of A, or a step of k of B
  const sums = [0, 0, 0, 0];
  function* fetch(k: number): Generator<ReturnType<typeof read>, number[], number[]> {
    if (isA) return yield read("block = mat4x4f(four_of_a(at)", "a", line * N + k, DEPTH);
    const block: number[] = []; // of one column of B: neighbours read neighbouring columns
    for (let i = 0; i < DEPTH; i++) {
      const [v] = yield read("block = mat4x4f(four_of_b(at)", "b", (k + i) * N + line);
      block.push(v!);
    }
    return block;
  }
  let next = yield* fetch(0);
  for (let k0 = 0; k0 < N; k0 += DEPTH) {
    if (!options.without.includes(free)) yield barrier(free);
    const to = (isA ? 0 : TILE) + line;
    const lines = [
      "tiles[s.to] = rounded(next[0])",
      "tiles[s.to + LINE] =",
      "tiles[s.to + 2u * LINE] =",
      "tiles[s.to + 3u * LINE] =",
    ];
    for (let i = 0; i < DEPTH; i++) yield write(lines[i]!, "tiles", to + i * LINE, next[i]!);
    if (!options.without.includes(whole)) yield barrier(whole);
    if (k0 + DEPTH < N) next = yield* fetch(k0 + DEPTH);
    for (let k = 0; k < DEPTH; k++) {
      const [upper] = yield read("let upper = tiles[", "tiles", y + k * LINE);
      const [lower] = yield read("let lower = tiles[", "tiles", y + k * LINE + LINE / 2);
      const [left] = yield read("let left = tiles[", "tiles", x + k * LINE + TILE);
      const [right] = yield read("let right = tiles[", "tiles", x + k * LINE + LINE / 2 + TILE);
      for (const [i, product] of [upper! * left!, upper! * right!, lower! * left!, lower! * right!].entries()) {
        sums[i]! += product;
        yield set("sums", 4 * lane + i, sums[i]!);
      }
    }
  }
  for (let half = 0; half < 2; half++) {
    for (let side = 0; side < 2; side++) {
      const at = (half * (LINE / 2) + y) * N + side * (LINE / 2) + x;
      yield write("store(at, sum);", "c", at, sums[2 * half + side]!);
    }
  }
}

const KERNELS = {
  naive: { run: naive, code: naiveCode },
  workgroupTile: { run: workgroupTile, code: tileCode },
  registers: { run: registers, code: registersCode },
};

/** A and B as the page shows them. */
export const matmulInputs = () => ({ a: smallNumbers(N * N, 1), b: smallNumbers(N * N, 5) });

/** Runs one workgroup of a kernel. */
export function matmulModel(options: MatmulOptions): Model {
  const { a, b } = matmulInputs();
  const at = ([row, col]: [number, number]): number => ofA(options, row, col);
  const stored = new Float64Array(N * N);
  a.forEach((v, i) => (stored[at([Math.floor(i / N), i % N])] = v));
  const pitch = SIDE + Number(options.padded);
  const own: Memory[] = {
    naive: [memory("sum", "registers", SIDE, SIDE)],
    workgroupTile: [
      memory("a_tile", "workgroup", SIDE, SIDE, { pitch }),
      memory("b_tile", "workgroup", SIDE, SIDE, { pitch }),
      memory("sum", "registers", SIDE, SIDE),
    ],
    registers: [memory("tiles", "workgroup", 8, N), memory("sums", "registers", INVOCATIONS / 2, 8)],
  }[options.kernel];
  const make = (): Memory[] => [
    memory("a", "storage", N, N, { from: stored }),
    memory("b", "storage", N, N, { from: b }),
    ...own.map((m) => ({ ...m, data: m.data.slice() })),
    memory("c", "storage", N, N),
  ];
  const running = make();
  const { run, code } = KERNELS[options.kernel];
  const invocations = Array.from({ length: INVOCATIONS }, (_, lane) => run(lane, options));
  const steps = simulate(running, invocations, options.subgroup);
  const written = new Set(steps.flatMap(({ kind, memory, accesses }) => (kind === "write" && memory === "c" ? accesses.map(({ index }) => index) : []))); // prettier-ignore
  const expected = Array.from({ length: N * N }, (_, i) => {
    if (!written.has(i)) return NaN;
    const [row, col] = [Math.floor(i / N), i % N];
    return Array.from({ length: N }, (_, k) => a[row * N + k]! * b[k * N + col]!).reduce((x, y) => x + y);
  });
  return {
    ...{ code, steps, memories: make(), subgroup: options.subgroup, side: SIDE, invocations: INVOCATIONS },
    ...{ line: LINE_OF_MEMORY, banks: BANKS, removed: [...options.without] },
    expected: { memory: "c", data: expected },
  };
}
