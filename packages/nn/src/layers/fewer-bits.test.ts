import { noGrad } from "@gpugrad/autograd";
import { destroy, device, fromArray, init, memory, type Tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Module } from "../module.ts";
import { keepInFewerBits } from "./fewer-bits.ts";
import { Linear } from "./linear.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

/** Layers of several kinds, with weights that 8 bits hold exactly: whole numbers up to 127, which is in each row. */
class Model extends Module {
  readonly dense = new Linear(64, 64);
  readonly wide = new Linear(64, 48, false);
  readonly odd = new Linear(6, 8); // rows that end inside a word
  readonly head = new Linear(64, 2);
  readonly table = new Linear(64, 16, false);
  readonly decoder = new Linear(64, 16, true, { weight: this.table.weight });

  constructor() {
    super();
    for (const [, tensor] of this.namedParameters())
      tensor.write(
        Float32Array.from({ length: tensor.size }, (_, i) =>
          i % tensor.shape.at(-1)! === 0 ? 127 : ((i * 37) % 255) - 127,
        ),
      );
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(this.dense.forward(x, { gelu: "none" }));
  }
}
const x = (): Tensor =>
  fromArray(
    Float32Array.from({ length: 64 }, (_, i) => (i % 9) / 8 - 0.5),
    [1, 64],
  );

test.each(["f16", "int8"] as const)(
  "linear layers keep their weights in %s, and give the same numbers where it holds them",
  async (bits) => {
    const model = new Model();
    const whole = Array.from(await noGrad(() => model.forward(x())).data());
    const { wide, odd, head, table } = model;
    const hidden = Array.from(await noGrad(() => wide.forward(x())).data());
    const before = memory().bytes;
    expect(keepInFewerBits(model, bits)).toBe(64 * 64 + 64 * 48);
    expect(before - memory().bytes).toBeGreaterThan((bits === "f16" ? 1.9 : 2.8) * (64 * 64 + 64 * 48)); // of 4 bytes each
    expect(Array.from(await noGrad(() => model.forward(x())).data())).toEqual(whole);
    expect(Array.from(await model.wide.forward(x()).data())).toEqual(hidden);
    expect(model.wide).not.toBe(wide);
    expect([model.odd, model.head, model.table]).toEqual([odd, head, table]);
    const names = [...model.stateDict().keys()];
    expect(names.includes("dense.bias")).toBe(true);
    expect(names.includes("dense.weight")).toBe(bits === "f16");
    model.dispose();
  },
);

test.each(["f16", "int8"] as const)("with %s, the memory of large weights goes back to the device", (bits) => {
  class Two extends Module {
    readonly first = new Linear(1024, 1024);
    readonly second = new Linear(1024, 1024);
  }
  const model = new Two();
  device().trim();
  const taken = (): number => memory().bytes + memory().freeBytes;
  const before = taken();
  keepInFewerBits(model, bits);
  expect(before - taken()).toBeGreaterThan(2 * 2 ** 20 * (bits === "f16" ? 1.9 : 2.9));
  model.dispose();
});

test("other widths are refused", () => {
  expect(() => keepInFewerBits(new Model(), "int4" as "int8")).toThrow(
    'keepInFewerBits: bits is "int4", not "f16" or "int8".',
  );
});
