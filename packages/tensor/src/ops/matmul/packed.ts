import { imageOf } from "../../runtime/image.ts";
import { replaceFunction, specialize, type Kernel } from "../../runtime/kernel.ts";
import type { Image } from "../../runtime/pool.ts";
import { run } from "../../runtime/run.ts";
import { ceilDiv } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { applyUnary } from "../elementwise/apply.ts";
import {
  aligned,
  bindings,
  isInPlace,
  placesOf,
  rounding,
  sizesOf,
  stridesOf,
  type Matrices,
  type MatmulSizes,
  type MatmulTask,
  type Stored,
} from "./task.ts";
import { start, type Epilogues } from "./tiles.ts";

// How kernels for CPUs are started: of operands packed into panels, of images of operands, or of weights where, and as, they are stored.

/** Functions that read B as it is stored, in the place of those that read f32. */
export type Readers = Record<Stored, string>;

/** All of them, changed alike. */
const mapEpilogues = ({ plain, gelu, rowSums }: Epilogues, change: (from: Kernel) => Kernel): Epilogues => ({
  plain: change(plain),
  ...(gelu && { gelu: change(gelu) }),
  ...(rowSums && { rowSums: change(rowSums) }),
});

/** Rows in a panel of packed operands. */
const PANEL = 64;

/** Columns in a panel: kernels take up to four at a time. */
const packedDepth = (K: number): number => 4 * ceilDiv(K, 4);

/** Packs both operands, then starts a workgroup for each tile of 64 × 64. */
export function computePacked(kernels: { pack: Kernel; packed: Kernel }, task: MatmulTask): void {
  const { M, N, K, batches, c, bias, accumulate } = task;
  const a = pack(kernels.pack, task, "a");
  const b = pack(kernels.pack, task, "b");
  const params = {
    ...{ M, N, K: packedDepth(K), a_step: a.step, b_step: b.step, c_step: c.step, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
  };
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? a.tensor, c: c.tensor };
  run(kernels.packed, tensors, params, { workgroups: [ceilDiv(N, PANEL), ceilDiv(M, PANEL), batches] });
  a.tensor.dispose();
  b.tensor.dispose();
}

/** An operand as matmul-subgroup.cpu.wgsl reads it, in an image. */
interface Operand {
  image: Image;
  /** Whether k runs along what lies together. */
  along: boolean;
  /** Elements from one line of what lies together to the next, from 64 rows of A, or columns of B, to the next, and from matrix to matrix. */
  line: number;
  tile: number;
  step: number;
}

/**
 * From so many columns of C on, A is packed if k runs along what lies together: a load by eight lanes, of eight rows, touches eight lines of the cache
 * then, and two of a panel. That takes an eighth off the product's time, and packing as long as 200 columns.
 */
const MANY_COLUMNS = 256;

/** An operand as it lies, where whole vectors of it do; else packed. */
function operandOf(packKernel: Kernel, task: MatmulTask, which: "a" | "b"): Operand {
  const { K, batches } = task;
  const { transposed, ...x } = task[which];
  const rows = which === "a" ? task.M : task.N;
  const along = transposed === (which === "b");
  const line = along ? K : rows;
  const scattered = which === "a" && along && task.N >= MANY_COLUMNS;
  if (K % 4 === 0 && aligned(x, line) && !scattered && task.precision === "f32") {
    const elements = Math.max(0, batches - 1) * x.step + rows * K;
    return { image: imageAs(which, x, elements), along, line, tile: PANEL * (along ? K : 1), step: x.step };
  }
  const packed = pack(packKernel, task, which);
  const image = imageAs(which, packed, packed.tensor.size);
  packed.tensor.dispose();
  return { image, along: false, line: PANEL, tile: PANEL * packedDepth(K), step: packed.step };
}

const imageAs = (which: "a" | "b", { tensor, first }: Matrices, elements: number): Image =>
  imageOf(`matmul ${which}`, tensor.buffer, { first: 4 * first, bytes: 4 * elements });

/** The kernels of images of operands: `odd` for rows of C that aren't whole vectors. */
export interface ImageKernels {
  whole: Epilogues;
  odd: Epilogues;
  pack: Kernel;
  /** In the place of `columns()`, for weights in fewer bits, which are read where they are. */
  stored: Readers;
}

/** Bytes of B that a core's cache has room for, beside A. */
const CACHED = 2 ** 19;

/** Starts a workgroup for each tile of 64 × 32. */
export function computeOfImages(kernels: ImageKernels, task: MatmulTask): void {
  const { M, N, K, batches, c, bias, accumulate, gelu, stored } = task;
  const a = operandOf(kernels.pack, task, "a");
  const b = stored
    ? { image: a.image, along: true, line: K, tile: PANEL * K, step: task.b.step }
    : operandOf(kernels.pack, task, "b");
  const whole = aligned(c, N);
  const made = mapEpilogues(whole ? kernels.whole : kernels.odd, (from) => {
    const reading = stored ? withStored(from, stored, "columns", kernels.stored[stored]) : from;
    return specialize(reading, { A_ALONG: String(a.along), B_ALONG: String(b.along) });
  });
  const tensors = {
    ...{ a_image: a.image, b_image: b.image, bias: bias ?? task.a.tensor, c: c.tensor },
    ...(stored && { b: task.b.tensor }),
    ...scaleOf(task),
  };
  const params = {
    ...{ M, N, K: packedDepth(K), a_line: a.line, b_line: b.line, a_tile: a.tile, b_tile: b.tile },
    ...{ a_step: a.step, b_step: b.step, c_step: c.step, b_first: stored ? task.b.first : 0, c_first: c.first },
    ...{ bias: Number(bias !== undefined), accumulate: Number(accumulate) },
    across: Math.max(1, Math.floor(CACHED / (4 * 32 * Math.max(1, K)))),
  };
  const workgroups = [ceilDiv(N, 32), ceilDiv(M, PANEL), batches] as const;
  start(made, task, tensors, params, { workgroups });
  if (gelu && !whole) applyUnary(gelu.fn, c.tensor, undefined, gelu.y);
}

/** Panels of rows of A (for B, of its columns): one set for all where the whole batch shares it. */
function pack(packKernel: Kernel, task: MatmulTask, which: "a" | "b"): Matrices {
  const { [which]: x, K: cols, batches } = task;
  const rows = which === "a" ? task.M : task.N;
  const byRows = x.transposed === (which === "b");
  const count = x.step === 0 ? 1 : batches;
  const panels = ceilDiv(rows, PANEL);
  const depth = packedDepth(cols);
  const tensor = empty([count, panels, depth, PANEL]);
  const overrides = { ...rounding(task), WHOLE: Number(aligned(x, byRows ? cols : rows)) };
  const params = {
    ...{ rows, cols, row_step: byRows ? cols : 1, col_step: byRows ? 1 : rows, first: x.first, step: x.step },
    ...{ panels, depth },
  };
  const workgroups = [2 * panels, ceilDiv(depth, 64), count] as const;
  run(packKernel, { x: x.tensor, x4: x.tensor, y: tensor }, params, { workgroups, overrides });
  return { tensor, first: 0, step: count === 1 ? 0 : panels * depth * PANEL };
}

/** The kernel with `code`, that reads B as it is stored, in the place of its function `name`. */
function withStored(from: Kernel, stored: Stored, name: string, code: string): Kernel {
  const bare = stored === "i8" ? replaceFunction(from, "scales", "") : from; // its file has another
  return replaceFunction(bare, name, code);
}

const scaleOf = ({ scale }: MatmulTask): Record<string, Tensor> => (scale ? { scale } : {});

/** Rows of a tile of matmul-rows.cpu.wgsl: one of 32 takes one and a half times as long as one of 16. */
const rowsOf = (M: number): 16 | 32 => (1.5 * ceilDiv(M, 32) < ceilDiv(M, 16) ? 32 : 16);

/** Starts a workgroup for each tile of some rows × 32, of operands as they are. */
export function computeRows(kernels: Epilogues, task: MatmulTask, readers: Readers): void {
  const { M, N, K, batches, a, b } = task;
  const ROWS = rowsOf(M);
  const { stored } = task;
  const made = mapEpilogues(kernels, (from) => {
    const reading = stored ? specialize(withStored(from, stored, "four", readers[stored]), { B: "u32" }) : from;
    return specialize(reading, { ROWS });
  });
  const overrides = {
    A_WHOLE: Number(!a.transposed && aligned(a, K)),
    B_WHOLE: Number(isInPlace(task)),
    B_ACROSS: Number(!b.transposed && K % 4 === 0 && aligned(b, N)),
    ...rounding(task),
  };
  const tensors = { ...bindings(task), ...scaleOf(task), a1: a.tensor, b1: task.stored ? a.tensor : b.tensor };
  const params = { ...sizesOf(task), ...stridesOf(task), ...placesOf(task), one: 1 };
  start(made, task, tensors, params, { workgroups: [ceilDiv(N, 32), ceilDiv(M, ROWS), batches], overrides });
}

/** Three dimensions of tiles, and packed operands, have to stay within WebGPU's limits. */
export function fits({ M, N, K, batches }: MatmulSizes): boolean {
  const bytes = 4 * packedDepth(K) * batches * PANEL * ceilDiv(Math.max(M, N), PANEL);
  return batches <= 65535 && Math.max(M, N) / PANEL <= 32767 && K / 64 <= 65535 && bytes <= 2 ** 27;
}
