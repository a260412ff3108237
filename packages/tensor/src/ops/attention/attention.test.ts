import { describe, expect, test } from "vitest";
import { autocast } from "../../autocast.ts";
import { Generator, uniformFloat } from "../../random.ts";
import type { AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { scope } from "../../scope.ts";
import { sizeOf, type Shape } from "../../shape.ts";
import { fromArray } from "../../factories.ts";
import { type Tensor, undisposed } from "../../tensor.ts";
import {
  checkOp,
  drawnNear,
  expectClose,
  expectSameNaN,
  placesIn,
  randomNormal,
  withDevice,
} from "../../testing/check-op.ts";
import { ndArray, type NdArray } from "../../testing/nd-array.ts";
import { zeros } from "../create/create.ts";
import { attentionReference, attentionReferenceWithGradients } from "./attention.reference.ts";
import {
  attention,
  scaledDotProductAttention,
  scaledDotProductAttentionWithLse,
  type AttentionOptions,
} from "./attention.ts";
import { withRung } from "../ladders.ts";
import { chooseAttention } from "./choose.ts";
import { attentionLadder } from "./ladder.ts";

type RungName = keyof typeof attentionLadder.rungs;

const LOWEST = -3.4028234663852886e38;

interface Case extends Pick<AttentionOptions, "isCausal" | "window" | "scale" | "dropoutP" | "layout"> {
  /** B, H, Tq, Tk, D */
  size: readonly [number, number, number, number, number];
  mask?: { shape: Shape; dtype: "bool" | "f32"; value: (b: number, h: number, i: number, j: number) => number };
  /** Heads of k and v, if fewer than H. */
  keyHeads?: number;
  /** The kernels that run it; all that can, unless said otherwise. */
  only?: readonly RungName[];
}

const padding = (lengths: number[], Tk: number): NonNullable<Case["mask"]> => ({
  shape: [lengths.length, 1, 1, Tk],
  dtype: "bool",
  value: (b, _h, _i, j) => (j < lengths[b]! ? 1 : 0),
});

/** CPU drivers take seconds to compile the others, so those get few cases, which do several things at once. */
const light: readonly RungName[] = ["naive", "online", "subgroup"];
const short: readonly RungName[] = [...light, "registers"];

const additive = (B: number, Tq: number, Tk: number): NonNullable<Case["mask"]> => ({
  shape: [B, 1, Tq, Tk],
  dtype: "f32",
  value: (_b, _h, i, j) => {
    if (i === 2 || j === 3) return -Infinity;
    return i === 4 || (i === 5 && j % 2 === 1) ? LOWEST : Math.sin(i * 10 + j); // all of a row, and every other key of one
  },
});

/** An additive mask for each head, or as much of it as a shape has. */
const wide = (Tq: number, Tk: number): NonNullable<Case["mask"]> => ({
  shape: [1, 3, Tq, Tk],
  dtype: "f32",
  value: (_b, h, _i, j) => (j === 7 ? -Infinity : Math.cos(h * 5 + j)),
});

/** A generator for every case: at the same place, shortly before a carry in its counter. */
const sameAgain = (): Generator => new Generator(0).setState({ key: [3, 4], stream: [0, 1], blocks: 2 ** 32 - 2 });
const drawn = (count: number): Uint32Array => sameAgain().words(count);

const cases: Case[] = [
  { size: [1, 1, 1, 1, 1] },
  { size: [2, 3, 5, 7, 7], layout: "BTHD" },
  { size: [2, 2, 33, 41, 8], mask: padding([41, 17], 41), layout: "BTHD", only: light },
  { size: [2, 2, 9, 11, 8], mask: padding([0, 3], 11), isCausal: true, only: light },
  { size: [1, 2, 37, 35, 8], isCausal: true, scale: 0.5, only: [...short, "subgroupMatrix"] },
  { size: [1, 2, 9, 5, 12], isCausal: true, only: light },
  // Windows: keys before and behind them are skipped in whole steps, also where a text ends before a window begins.
  { size: [1, 2, 37, 35, 8], window: 5, only: short },
  { size: [1, 1, 30, 41, 8], window: 3, isCausal: true, only: light },
  { size: [1, 2, 45, 33, 8], window: 0, layout: "BTHD", only: light },
  { size: [2, 1, 40, 40, 8], window: 9, mask: padding([40, 11], 40), dropoutP: drawnNear(0.3, drawn(2 * 40 * 40)), only: short }, // prettier-ignore
  { size: [1, 1, 9, 12, 8], window: 2, mask: { shape: [1, 12], dtype: "f32", value: (_b, _h, _i, j) => (j > 4 ? LOWEST : Math.sin(j)) }, only: light }, // prettier-ignore
  // Scores that grow from tile to tile, so that what is added up has to shrink.
  {
    size: [1, 2, 35, 70, 16],
    mask: { shape: [1, 70], dtype: "f32", value: (_b, _h, _i, j) => j / 2 },
    only: ["subgroupMatrix"],
  },
  // Heads of q that share one of k and v, with masks that differ by head.
  { size: [2, 6, 9, 11, 8], keyHeads: 2, only: [...short, "subgroupMatrix"] },
  { size: [1, 4, 19, 13, 8], keyHeads: 1, layout: "BTHD", isCausal: true, only: light },
  {
    size: [2, 4, 12, 21, 8],
    keyHeads: 2,
    window: 6,
    layout: "BTHD",
    mask: { shape: [2, 4, 1, 21], dtype: "bool", value: (b, h, _i, j) => (j < [21, 3, 9, 17][(b + h) % 4]! ? 1 : 0) },
    dropoutP: drawnNear(0.4, drawn(2 * 4 * 12 * 21)),
    only: short,
  },
  { size: [1, 4, 6, 9, 8], keyHeads: 2, mask: additive(1, 6, 9), window: 4, only: ["online"] },
  { size: [2, 3, 6, 10, 8], mask: additive(2, 6, 10), only: short }, // rows without a key, and rows of float32's lowest
  {
    size: [2, 2, 5, 9, 8], // Hugging Face's padding: all of the first batch is masked
    mask: { shape: [2, 1, 1, 9], dtype: "f32", value: (b, _h, _i, j) => (b === 0 || j > 5 ? LOWEST : 0) },
    only: light,
  },
  {
    size: [1, 2, 6, 7, 8],
    mask: { shape: [2, 6, 7], dtype: "bool", value: (_b, h, i, j) => ((i + j + h) % 3 ? 1 : 0) },
    only: light,
  },
  { size: [1, 2, 19, 16, 8], dropoutP: drawnNear(0.3, drawn(2 * 19 * 16)), only: light },
  {
    size: [2, 2, 5, 11, 8],
    dropoutP: drawnNear(0.5, drawn(2 * 5 * 11)),
    mask: padding([11, 6], 11),
    layout: "BTHD",
    only: short,
  },
  { size: [1, 1, 6, 9, 8], dropoutP: drawnNear(0.3, drawn(2 * 9)), mask: additive(1, 6, 9), only: ["naive"] },
  { size: [1, 2, 5, 13, 4], dropoutP: drawnNear(0.5, drawn(2 * 5 * 13)), only: ["subgroup"] }, // eight keys in a step
  { size: [1, 1, 4, 6, 8], dropoutP: 1, only: light },
  { size: [1, 2, 35, 35, 32], mask: padding([30], 35), layout: "BTHD", only: ["subgroup"] },
  { size: [1, 1, 35, 35, 64], only: ["subgroup", "registers"] },
  { size: [1, 1, 11, 9, 128], only: ["subgroup"] },
  // More than one tile of 64, tails, lengths that end inside the first tile, and blocks of random numbers that aren't aligned.
  {
    size: [2, 1, 67, 70, 32],
    dropoutP: drawnNear(0.4, drawn(67 * 70)),
    mask: padding([70, 17], 70),
    layout: "BTHD",
    only: ["tiled", "subgroupMatrix"],
  },
  {
    size: [1, 1, 67, 70, 64],
    isCausal: true,
    scale: 0.25,
    mask: additive(1, 67, 70),
    only: ["tiled", "subgroupMatrix"],
  },
  { size: [1, 1, 13, 35, 80], only: ["tiled"] },
  {
    size: [1, 4, 140, 150, 32],
    keyHeads: 2,
    window: 20,
    mask: { shape: [1, 4, 1, 150], dtype: "bool", value: (_b, h, _i, j) => (j < [150, 30, 70, 149][h]! ? 1 : 0) },
    dropoutP: drawnNear(0.4, drawn(4 * 140 * 150)),
    layout: "BTHD",
    only: ["tiled", "subgroupMatrix"],
  },
  // So many scores that the mask's gradient is computed by products: as wide as the scores, broadcast, and with all else at once.
  { size: [2, 2, 70, 64, 8], mask: additive(2, 70, 64), layout: "BTHD", scale: 0.3, only: ["online"] },
  { size: [2, 3, 67, 50, 8], mask: wide(67, 50), dropoutP: drawnNear(0.3, drawn(2 * 3 * 67 * 50)), only: ["online"] },
  { size: [1, 2, 96, 96, 12], mask: { ...wide(96, 96), shape: [2, 1, 96] }, isCausal: true, only: ["online"] },
  { size: [1, 4, 70, 64, 8], keyHeads: 2, mask: additive(1, 70, 64), window: 11, layout: "BTHD", only: ["online"] },
  { size: [1, 1, 35, 70, 128], only: ["tiled"] },
];

/** The same numbers on the host and for the device. */
function inputsOf({ size: [B, H, Tq, Tk, D], layout, mask, dropoutP = 0, keyHeads = H }: Case) {
  const shape = (T: number, heads = H) => (layout === "BTHD" ? [B, T, heads, D] : [B, heads, T, D]);
  const random = (s: Shape, seed: number) => ndArray(s, Float32Array.from(randomNormal(sizeOf(s), seed)));
  const full = ndArray([B, H, Tq, Tk], new Float64Array(B * H * Tq * Tk));
  const small = mask && ndArray(mask.shape, new Float64Array(sizeOf(mask.shape)));
  for (let at = 0; at < full.data.length; at++) {
    const index = [Math.floor(at / (H * Tq * Tk)), Math.floor(at / (Tq * Tk)) % H, Math.floor(at / Tk) % Tq, at % Tk];
    const [b, h, i, j] = index as [number, number, number, number];
    if (!mask || !small) continue;
    full.data[at] = mask.value(b, h, i, j);
    small.data[narrow(index, mask.shape)] = mask.value(b, h, i, j);
  }
  const keep = Array.from(drawn(full.data.length), (word) => (uniformFloat(word) >= dropoutP ? 1 / (1 - dropoutP) : 0));
  const [q, dy] = [random(shape(Tq), 1), random(shape(Tq), 4)];
  const [k, v] = [random(shape(Tk, keyHeads), 2), random(shape(Tk, keyHeads), 3)];
  return { q, k, v, dy, full: mask && full, small, dropout: dropoutP > 0 ? keep : undefined };
}

/** Where the element at `index` of [B, H, Tq, Tk] lies in a shape that broadcasts to it. */
const narrow = (index: number[], shape: Shape): number =>
  shape.reduce((at, n, dim) => at * n + (n === 1 ? 0 : index[4 - shape.length + dim]!), 0);

const backward = attention.definition.backward as (
  saved: unknown,
  dy: Tensor,
  needs: object,
) => Partial<Record<"q" | "k" | "v" | "mask", Tensor>>;

const toDevice = (x: NdArray): Tensor => fromArray(Float32Array.from(x.data), x.shape);

/** Forward with this rung, which backward takes as well. */
const forwardWith = (
  rung: RungName,
  [q, k, v]: [NdArray, NdArray, NdArray],
  mask?: Tensor,
  options?: AttentionOptions,
) =>
  withRung("attention", rung, () => attention.definition.forward(toDevice(q), toDevice(k), toDevice(v), mask, options));

/** Compares forward and all gradients with float64; `exact` false where factors are rounded on the way. */
async function compare(rung: RungName, c: Case, { f16 = false, large = false } = {}): Promise<void> {
  const before = undisposed();
  const { q, k, v, dy, full, small, dropout } = inputsOf(c);
  const { isCausal, window, scale, layout, dropoutP } = c;
  const options = {
    ...(isCausal !== undefined && { isCausal }),
    ...(window !== undefined && { window }),
    ...(scale !== undefined && { scale }),
    ...(layout && { layout }),
  };
  const boolean = c.mask?.dtype === "bool";
  const [q64, k64, v64, dy64] = f16 ? [q, k, v, dy].map(roundedToF16) : [q, k, v, dy];
  const settings = { ...options, boolean, ...(dropout && { dropout }) };
  const want = attentionReferenceWithGradients(q64!, k64!, v64!, full, settings, dy64);

  const got = scope(() => {
    const mask = small && c.mask && fromArray(small.data, small.shape, c.mask.dtype);
    const enableGqa = c.keyHeads !== undefined;
    const call = { ...options, enableGqa, generator: sameAgain(), ...(dropoutP !== undefined && { dropoutP }) };
    const forward = () => forwardWith(rung, [q, k, v], mask, call);
    const { output, saved } = f16 ? autocast(forward) : forward();
    const gradients = backward(saved, toDevice(dy), { q: true, k: true, v: true, mask: true });
    return { y: output, ...gradients };
  });
  // p and ds are rounded to 11 bits: the errors are half a unit of each, and largely cancel.
  // What is left of dp − δ at large scores has few digits, and is multiplied by their scale.
  const tolerance = f16 || large ? { rtol: 1e-3, atol: large ? 0.02 : 1e-3 } : { rtol: 1e-5, atol: 4e-6 };
  expectClose(await got.y.data(), want.y.data, tolerance, "y");
  expectClose(await got.q!.data(), want.dq.data, tolerance, "dq");
  expectClose(await got.k!.data(), want.dk.data, tolerance, "dk");
  expectClose(await got.v!.data(), want.dv.data, tolerance, "dv");
  if (got.mask) {
    const [, H, Tq, Tk] = c.size;
    const dmask = new Float64Array(small!.data.length);
    want.dmask.data.forEach((ds, at) => {
      const index = [Math.floor(at / (H * Tq * Tk)), Math.floor(at / (Tq * Tk)) % H, Math.floor(at / Tk) % Tq, at % Tk];
      dmask[narrow(index, small!.shape)]! += ds;
    });
    expectClose(await got.mask.data(), dmask, tolerance, "dmask");
  }
  for (const t of Object.values(got)) t.dispose();
  expect(undisposed(), "storages left over").toBe(before);
}

/** Every way to hide keys, for every rung: small, and with rows that see no key where the way allows it. */
const small: Record<string, Case> = {
  "no mask": { size: [1, 1, 6, 9, 8] },
  causal: { size: [1, 1, 6, 9, 8], isCausal: true },
  window: { size: [1, 1, 6, 9, 8], window: 2 },
  "key mask": { size: [2, 1, 6, 9, 8], mask: padding([5, 0], 9) },
  "bool mask": {
    size: [1, 1, 6, 9, 8],
    mask: { shape: [6, 9], dtype: "bool", value: (_b, _h, i, j) => (i !== 2 && (i + j) % 3 ? 1 : 0) },
  },
  "additive mask": { size: [1, 1, 6, 9, 8], mask: additive(1, 6, 9) },
  dropout: { size: [1, 1, 6, 9, 8], dropoutP: drawnNear(0.5, drawn(6 * 9)) },
};

/**
 * Puts a NaN into the first, a middle and the last element of each input: y and the gradients have to be NaN where the formula is, but
 * for what comes of hidden keys, which some kernels skip.
 */
async function compareNaN(rung: RungName, c: Case, { f16 = false } = {}): Promise<void> {
  const { q, k, v, dy, full, small, dropout } = inputsOf(c);
  const { isCausal = false, dropoutP = 0 } = c;
  const band = { isCausal, ...(c.window !== undefined && { window: c.window }) };
  const settings = { ...band, boolean: c.mask?.dtype === "bool", ...(dropout && { dropout }) };
  for (const [name, x] of Object.entries({ q, k, v, dy })) {
    for (const at of placesIn(x)) {
      const before = x.data[at]!;
      x.data[at] = NaN;
      const most = attentionReferenceWithGradients(q, k, v, full, settings, dy);
      const least = attentionReferenceWithGradients(q, k, v, full, { ...settings, skipsHidden: true }, dy);
      const got = scope(() => {
        const mask = small && c.mask && fromArray(small.data, small.shape, c.mask.dtype);
        const call = { ...band, dropoutP, generator: sameAgain() };
        const forward = () => forwardWith(rung, [q, k, v], mask, call);
        const { output, saved } = f16 ? autocast(forward) : forward();
        const gradients = backward(saved, toDevice(dy), { q: true, k: true, v: true });
        return { y: output, dq: gradients.q!, dk: gradients.k!, dv: gradients.v! };
      });
      for (const part of ["y", "dq", "dk", "dv"] as const) {
        const data = await got[part].data();
        // Masks hide keys from single queries in all kernels alike; what lies behind a query or the last visible key may be skipped.
        const exact =
          !isCausal && c.window === undefined && (part === "y" || part === "dq" || c.mask?.shape.at(-2) !== 1);
        const want = most[part].data.map((m, i) =>
          exact || Number.isNaN(least[part].data[i]) || Number.isNaN(data[i]) ? m : 0,
        );
        expectSameNaN(data, want, `${name}[${at}], ${part}`);
        got[part].dispose();
      }
      x.data[at] = before;
    }
  }
}

/** Numbers between two of f16's are rounded to the nearer one: to 11 binary digits, for numbers of this size. */
const roundedToF16 = ({ shape, data }: NdArray): NdArray =>
  ndArray(
    shape,
    data.map((x) => {
      const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
      const steps = Math.abs(x) / unit;
      const even = steps % 1 === 0.5 ? 2 * Math.round(steps / 2) : Math.round(steps);
      return x === 0 ? 0 : Math.sign(x) * even * unit;
    }),
  );

describe.each(Object.keys(attentionLadder.rungs) as RungName[])("attention, %s kernels", (rung) => {
  withDevice();
  const always16 = rung === "subgroupMatrix"; // on adapters whose matrix units divide the head
  const precision = always16 ? "f16" : "f32";
  const runs = ({ size, only }: Case) =>
    (!only || only.includes(rung)) &&
    attentionLadder.rungs[rung].suits(device().adapter, { headDim: size[4], precision });
  test.each(cases)("%j", async (c) => {
    if (runs(c)) await compare(rung, c, { f16: always16 }); // otherwise another's case, or another adapter's kernels
  });

  test.each(Object.entries(small))("%s: float64's numbers, and NaN stays NaN", async (_name, c) => {
    if (!runs(c)) return;
    await compare(rung, c, { f16: always16 });
    await compareNaN(rung, c, { f16: always16 });
  });

  // The formula gives dp − δ = 0 where a query sees one key, so any difference in rounding between the kernels shows.
  test.each([false, true])("one key: y is v, and nothing flows to q and k; autocast %s", async (f16) => {
    const c: Case = { size: [1, 2, 7, 1, 8] };
    if (!runs(c) || (always16 && !f16)) return;
    const { q, k, v, dy } = inputsOf(c);
    const forward = () => forwardWith(rung, [q, k, v]);
    const { output, saved } = f16 ? autocast(forward) : forward();
    const gradients = backward(saved, toDevice(dy), { q: true, k: true, v: false });
    const value = f16 ? roundedToF16(v) : v;
    const tolerance = f16 ? 1e-3 : 0; // some adapters round to f16 another way
    expectClose((await output.data()).subarray(0, 8), value.data.subarray(0, 8), { rtol: tolerance, atol: 0 }, "y");
    const nothing = always16 ? 1e-5 : 0; // matrix units add in an order of their own
    for (const x of [gradients.q!, gradients.k!])
      expect((await x.data()).every((value) => Math.abs(value) <= nothing)).toBe(true);
  });

  test("a NaN in an additive mask stays in its row, whatever is read beyond the last key", async () => {
    const c: Case = { size: [1, 1, 3, 5, 8], mask: { shape: [3, 5], dtype: "f32", value: () => 0 } };
    if (!runs(c)) return;
    const { q, k, v } = inputsOf(c);
    const mask = fromArray(Array.from({ length: 15 }, (_, at) => (at === 5 ? NaN : 0)), [3, 5]); // prettier-ignore
    const forward = () => forwardWith(rung, [q, k, v], mask);
    const { output } = always16 ? autocast(forward) : forward();
    const rows = Array.from(await output.data(), Number.isNaN);
    expect(rows).toEqual(Array.from({ length: 24 }, (_, at) => at >= 8 && at < 16));
  });

  test("autocast rounds the factors to f16", async () => {
    const c: Case = { size: [2, 1, 5, 67, 8], mask: padding([67, 30], 67), layout: "BTHD" };
    if (runs(c)) await compare(rung, c, { f16: true });
  });
});

// The gradients of the reference are formulas themselves: these compare with finite differences.
checkOp(
  attention,
  (q: NdArray, k: NdArray, v: NdArray, _mask: undefined, options: object) =>
    attentionReference(q, k, v, undefined, options),
  {
    cases: [
      { shapes: [[2, 1, 4, 8], [2, 1, 5, 8], [2, 1, 5, 8]], args: [undefined, {}] }, // prettier-ignore
      { shapes: [[1, 4, 2, 8], [1, 5, 2, 8], [1, 5, 2, 8]], args: [undefined, { isCausal: true, layout: "BTHD" }] }, // prettier-ignore
      { shapes: [[0, 1, 4, 8], [0, 1, 5, 8], [0, 1, 5, 8]], args: [undefined, {}] }, // prettier-ignore
      { shapes: [[1, 1, 0, 8], [1, 1, 5, 8], [1, 1, 5, 8]], args: [undefined, {}] }, // prettier-ignore
      { shapes: [[1, 1, 4, 8], [1, 1, 0, 8], [1, 1, 0, 8]], args: [undefined, {}], note: "no keys: zeros" }, // prettier-ignore
      { shapes: [[1, 4, 6, 8], [1, 2, 6, 8], [1, 2, 6, 8]], args: [undefined, { window: 2, enableGqa: true }] }, // prettier-ignore
      { shapes: [[70_000, 1, 1, 8], [70_000, 1, 2, 8], [70_000, 1, 2, 8]], args: [undefined, {}], gradient: false }, // prettier-ignore
    ],
    together: [["k", "v"]],
  },
);

describe("attention", () => {
  withDevice();

  // Softmax is nearly one-hot: the gradient is what little is left of dp − δ, times large q and k. Each `atol` is six times what
  // PyTorch's float32 is off by for these numbers, beyond 1e-5 of the value. A GPU's compiler makes multiply-adds, other ones for dp than
  // for δ, so that less of them cancels.
  test.each([
    { T: 7, D: 20, seed: 24, dq: 1.55e-6, dk: 1.5e-6 },
    { T: 10, D: 12, seed: 23, dq: 2.32e-6, dk: 1.55e-6 },
    { T: 9, D: 16, seed: 3, dq: 3.53e-6, dk: 3.43e-6 },
    { T: 8, D: 20, seed: 2, dq: 2.85e-6, dk: 3.51e-6 },
    { T: 11, D: 12, seed: 3, dq: 1.75e-6, dk: 1.14e-6 },
  ])("gradients at scores up to 200: %j", async ({ T, D, seed, ...atol }) => {
    const draw = (scale: number, which: number) =>
      ndArray(
        [1, 2, T, D],
        Float32Array.from(randomNormal(2 * T * D, 100 * seed + which), (x) => x * scale),
      );
    const [q, k, v, dy] = [draw(6, 1), draw(6, 2), draw(1, 3), draw(1, 4)];
    const want = attentionReferenceWithGradients(q, k, v, undefined, {}, dy);
    const { saved } = attention.definition.forward(toDevice(q), toDevice(k), toDevice(v), undefined);
    const got = backward(saved, toDevice(dy), { q: true, k: true, v: true });
    const fused = device().adapter.cpu ? 1 : 64;
    expectClose(await got.q!.data(), want.dq.data, { rtol: 1e-5, atol: fused * atol.dq }, "dq");
    expectClose(await got.k!.data(), want.dk.data, { rtol: 1e-5, atol: fused * atol.dk }, "dk");
  });

  test.each(Object.entries(small))("gradients at large scores, %s", async (_name, c) => {
    await compare("naive", { ...c, scale: 20 }, { large: true });
  });

  test("gradients at large scores, in several workgroups", async () => {
    await compare("naive", { size: [2, 2, 50, 3, 8], scale: 20 }, { large: true });
  });

  test("log-sum-exp, −∞ where a query sees nothing", async () => {
    const c: Case = {
      size: [10, 5, 4, 6, 8],
      mask: { shape: [4, 6], dtype: "bool", value: (_b, _h, i, j) => (i * j) % 2 },
    };
    const { q, k, v, full, small } = inputsOf(c);
    const mask = fromArray(small!.data, small!.shape, "bool");
    const [y, lse] = scaledDotProductAttentionWithLse(toDevice(q), toDevice(k), toDevice(v), { mask });
    const want = attentionReferenceWithGradients(q, k, v, full, { boolean: true });
    expectClose(await y.data(), want.y.data, { rtol: 1e-5, atol: 1e-6 }, "y");
    expectClose(await lse.data(), want.lse.data, { rtol: 1e-5, atol: 1e-6 }, "lse");
    expect((await lse.data())[0]).toBe(-Infinity);
  });

  // torch.nn.functional.scaled_dot_product_attention in float64, with enable_gqa; windows as its attn_mask. Of y, dq, dk and dv a weighted
  // sum, Σ x_i cos(1.3 i + 0.4), and the sum of absolute values.
  test.each([
    [
      {},
      [-0.361229912, 22.7322748],
      [0.430923869, 21.8614987],
      [-0.309214959, 22.7227078],
      [-0.0682479076, 22.4158418],
    ],
    [
      { isCausal: true },
      [-2.43538578, 31.0164784],
      [-1.35509848, 18.9183969],
      [0.271242003, 17.7930832],
      [1.08454656, 23.2528402],
    ],
    [
      { window: 1 },
      [-0.995475449, 22.8763481],
      [0.39426017, 23.4188744],
      [0.392317479, 18.600807],
      [0.890074904, 20.4077204],
    ],
    [
      { window: 2, isCausal: true },
      [-2.73513648, 33.2163806],
      [-0.786426357, 17.540726],
      [0.235342939, 15.7712627],
      [0.978956175, 24.5743672],
    ],
  ] as const)("shared heads of keys, %j: PyTorch's numbers", async (band, ...want) => {
    const wave = (shape: number[], start: number) =>
      fromArray(
        Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(0.7 * i + start)),
        shape,
      );
    const [q, k, v] = [wave([1, 4, 5, 4], 1), wave([1, 2, 6, 4], 2), wave([1, 2, 6, 4], 3)];
    const { output, saved } = attention.definition.forward(q, k, v, undefined, { ...band, enableGqa: true });
    const got = backward(saved, wave([1, 4, 5, 4], 4), { q: true, k: true, v: true });
    for (const [n, x] of [output, got.q!, got.k!, got.v!].entries()) {
      const values: number[] = Array.from(await x.data());
      const sums = [
        values.reduce((sum, y, i) => sum + y * Math.cos(1.3 * i + 0.4), 0),
        values.reduce((sum, y) => sum + Math.abs(y), 0),
      ];
      expectClose(
        sums,
        (want as readonly (readonly number[])[])[n]!,
        { rtol: 1e-6, atol: 1e-5 },
        ["y", "dq", "dk", "dv"][n]!,
      );
    }
  });

  test("heads of size 0 give 0, and gradients of size 0", async () => {
    const empty = zeros([1, 1, 2, 0]);
    const { output, saved } = attention.definition.forward(empty, empty, empty, undefined);
    expect(output.shape).toEqual([1, 1, 2, 0]);
    const got = backward(saved, zeros([1, 1, 2, 0]), { q: true, k: true, v: true });
    expect([got.q!.shape, got.k!.shape, got.v!.shape]).toEqual(Array(3).fill([1, 1, 2, 0]));
  });

  test("masks of sixteen bits are read as f32", async () => {
    const [q, k] = [toDevice(inputsOf({ size: [1, 1, 2, 3, 4] }).q), toDevice(inputsOf({ size: [1, 1, 2, 3, 4] }).k)];
    const numbers = [0, -Infinity, 1, 0.5, 0, -1];
    const mask = (dtype: "f32" | "f16" | "bf16") => fromArray(numbers, [2, 3], dtype);
    const want = await scaledDotProductAttention(q, k, k, { mask: mask("f32") }).data();
    for (const dtype of ["f16", "bf16"] as const)
      expect(await scaledDotProductAttention(q, k, k, { mask: mask(dtype) }).data()).toEqual(want);
  });

  test("takes tiles on GPUs that have room for them, registers or subgroups on CPUs, and one pass otherwise", () => {
    const cpu: AdapterInfo = { ...device().adapter, cpu: true, subgroupSize: [8, 8] };
    const gpu = { ...cpu, cpu: false, workgroupBytes: 32768 };
    const names = (adapter: AdapterInfo, ...sizes: number[]) =>
      sizes.map((headDim) => chooseAttention(adapter, { headDim }).name);
    expect(names(cpu, 64, 128, 132, 256, 260, 6)).toEqual([
      "subgroup",
      "subgroup",
      "registers",
      "registers",
      "online",
      "online",
    ]);
    for (const span of [[4, 8], [8, 16]] as const) expect(names({ ...cpu, subgroupSize: span }, 64)).toEqual(["registers"]); // prettier-ignore
    expect(names(gpu, 64, 128, 132, 6)).toEqual(["tiled", "tiled", "online", "online"]);
    expect(names({ ...gpu, workgroupBytes: 16384 }, 32, 64)).toEqual(["tiled", "online"]);

    // Matrix units multiply f16, where three kernels' tiles fit and the matrices divide the head.
    const offered = { M: 16, N: 16, K: 16, problem: undefined };
    const units: AdapterInfo = { ...gpu, subgroupSize: [32, 32], subgroupMatrix: offered, workgroupBytes: 49152 };
    const of = (adapter: AdapterInfo, headDim: number, precision: "f16" | "f32" = "f16") =>
      chooseAttention(adapter, { headDim, precision }).name;
    expect([16, 32, 64, 40, 128].map((headDim) => of(units, headDim))).toEqual([
      ...["subgroupMatrix", "subgroupMatrix", "subgroupMatrix"],
      ...["tiled", "tiled"],
    ]);
    expect(of(units, 64, "f32")).toBe("tiled");
    expect(of({ ...units, workgroupBytes: 32768 }, 64)).toBe("tiled");
    expect(of({ ...units, subgroupMatrix: { ...offered, M: 8 } }, 64)).toBe("tiled");
    expect(of({ ...units, subgroupMatrix: { ...offered, problem: "wrong" } }, 64)).toBe("tiled");
  });

  test("refuses what doesn't fit together", () => {
    const [q, k] = [zeros([1, 2, 3, 8]), zeros([1, 2, 5, 8])];
    expect(() => scaledDotProductAttention(q, k, zeros([1, 2, 6, 8]))).toThrow(/v \[1,2,6,8\].*don't belong together/);
    expect(() => scaledDotProductAttention(q, k, k, { layout: "BTHD" })).toThrow(/layout BTHD/);
    expect(() => scaledDotProductAttention(zeros([2, 3, 8]), k, k)).toThrow(/q is \[2,3,8\]/);
    expect(() => scaledDotProductAttention(q, k, k, { mask: zeros([1, 1, 1, 3]) })).toThrow(
      /mask \[1,1,1,3\] doesn't broadcast/,
    );
    expect(() => scaledDotProductAttention(q, k, k, { mask: zeros([1, 1, 1, 5], { dtype: "i32" }) })).toThrow(
      /mask is i32/,
    );
    expect(() => scaledDotProductAttention(q, k, k, { dropoutP: 1.5 })).toThrow(/dropoutP is 1.5/);
    expect(() => scaledDotProductAttention(q, k, k, { window: -1 })).toThrow(/window is -1, not the number of keys/);
    const one = zeros([1, 1, 5, 8]);
    expect(() => scaledDotProductAttention(q, one, one)).toThrow(/with enableGqa of heads/);
    const three = zeros([1, 3, 5, 8]);
    expect(() => scaledDotProductAttention(q, three, three, { enableGqa: true })).toThrow(
      /3 heads of k and v can't be shared evenly by 2/,
    );
  });
});
