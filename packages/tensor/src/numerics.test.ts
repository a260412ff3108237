import { describe, expect, onTestFinished, test } from "vitest";
import { log } from "./ops/elementwise/unary.ts";
import { cast } from "./ops/cast/cast.ts";
import { full, zeros } from "./ops/create/create.ts";
import { fill } from "./ops/elementwise/fill.ts";
import { embedding } from "./ops/embedding/embedding.ts";
import { softmax } from "./ops/softmax/softmax.ts";
import { debug, watchNumerics, type OpRun } from "./numerics.ts";
import { provenance } from "./provenance.ts";
import { profile } from "./runtime/profile.ts";
import { scope } from "./scope.ts";
import { fromArray, tensor } from "./factories.ts";
import { undisposed } from "./tensor.ts";
import { withDevice } from "./testing/check-op.ts";

describe("debug({ checkNumerics })", () => {
  withDevice();

  test("names the first op that produced infinity, with its inputs", async () => {
    debug({ checkNumerics: true });
    const before = undisposed();
    const y = scope(() => softmax(log(tensor([[0, 0.5], [3, 2]])))); // prettier-ignore
    const message = await y.data().then(
      () => "",
      (error: Error) => error.message,
    );
    expect(message).toContain("checkNumerics: log is the first op that produced infinity:");
    expect(message).toContain("result: f32 [2,2] made by log: 0 NaN, 1 infinite, 3 finite from -0.693147 to 1.09861");
    expect(message).toContain("input 1: f32 [2,2] made by user: 0 NaN, 0 infinite, 4 finite from 0 to 3");
    await y.data(); // reported once
    y.dispose();
    expect(undisposed()).toBe(before);
    debug({ checkNumerics: false });
  });

  test("infinity and NaN of the caller's own are no finding, and finite results none either", async () => {
    debug({ checkNumerics: true });
    await softmax(tensor([[-Infinity, 1, 2]])).data();
    await log(full([3], NaN)).data();
    await softmax(full([2, 3], 5)).data();
    debug({ checkNumerics: false });
    await log(zeros([2])).data();
  });

  test("NaN from an infinite input; an index out of range; a half that overflows", async () => {
    debug({ checkNumerics: true });
    await expect(softmax(full([1, 3], -Infinity)).data()).rejects.toThrow("softmax is the first op that produced NaN");
    const ids = fromArray([2, -1], [2], "i32");
    await expect(embedding(zeros([3, 4]), ids).data()).rejects.toThrow(
      /embedding is .*\n.*4 NaN, 0 infinite, 4 finite from 0 to 0\n.*\n.*i32 \[2\] made by user: 2 numbers from -1 to 2\nAn index/,
    );
    await expect(cast(tensor([1, 7e4, -2]), "f16").data()).rejects.toThrow("1 infinite, 2 finite from -2 to 1");
    debug({ checkNumerics: false });
  });

  test("more ops than a log holds", async () => {
    debug({ checkNumerics: true });
    const x = tensor([0.5]);
    scope(() => void log(zeros([1])));
    for (let i = 0; i < 4100; i++) scope(() => void log(x));
    await expect(x.data()).rejects.toThrow("log is the first op that produced infinity");
    debug({ checkNumerics: false });
  });
});

describe("watchNumerics", () => {
  withDevice();

  /** Runs that were inspected, and a look at more of them. */
  function watching(nameOf?: (of: object) => string | undefined) {
    const reported: OpRun[] = [];
    const watch = watchNumerics((runs) => reported.push(...runs), nameOf);
    return { ...watch, reported };
  }

  test("reports names, directions and inputs, without truth values and what is disposed", async () => {
    const [x, y] = [tensor([1, -3]), tensor([Infinity, NaN, 2])];
    const gone = tensor([5]);
    gone.dispose();
    const { inspect, finish, reported } = watching((storage) => (storage === x.storage ? "weight" : undefined));
    inspect("mul", [x, gone, tensor([true]), { scale: 2 }], y);
    inspect("mul backward", [[y], -Infinity], x, x);
    provenance.op = "norm backward";
    inspect("sum", [], y, y);
    provenance.op = "user";
    await finish();
    expect(reported).toEqual([
      { op: "mul", direction: "forward", leaf: undefined, onPurpose: false },
      { op: "mul backward", direction: "backward", leaf: "weight", onPurpose: true },
      { op: "norm backward (sum)", direction: "backward", leaf: undefined, onPurpose: false },
    ].map((run) => expect.objectContaining(run) as unknown)); // prettier-ignore
    const ofX = { name: "weight", shape: [2], dtype: "f32", madeBy: "user", nan: 0, inf: 0, smallest: -3, largest: 1 };
    const ofY = { name: undefined, shape: [3], dtype: "f32", madeBy: "user", nan: 1, inf: 1, smallest: 2, largest: 2 };
    expect(reported.map(({ inputs, output }) => [inputs, output])).toEqual([[[ofX], ofY], [[ofY], ofX], [[], ofY]]); // prettier-ignore
  });

  test("looks at a tensor once, until it changes in place", async () => {
    const x = tensor([1, 2]);
    const { inspect, finish, reported } = watching();
    const times = await profile(() => {
      for (let i = 0; i < 3; i++) inspect("a", [x], x);
    });
    expect(times.map(({ dispatches }) => dispatches)).toEqual([1]);
    fill(x, NaN);
    inspect("b", [x], x);
    await finish();
    expect(reported.map(({ inputs: [input], output }) => [input!.nan, output.nan])).toEqual([[0, 0], [0, 0], [0, 0], [2, 2]]); // prettier-ignore
  });

  test("an op whose tensors do not fit into a log has them in the next", async () => {
    const x = tensor([1]);
    const { inspect, finish, reported } = watching();
    for (let i = 1; i < 4096; i++) {
      fill(x, i);
      inspect("fill", [], x);
    }
    inspect("log", [tensor([Infinity])], tensor([NaN]));
    await finish();
    expect(reported.slice(0, -1).map(({ output }) => output.largest)).toEqual(
      Array.from({ length: 4095 }, (_, i) => i + 1),
    );
    expect([reported.at(-1)!.inputs[0]!.inf, reported.at(-1)!.output.nan]).toEqual([1, 1]);
  });
});

test("whole numbers are shown as they are, and plain arguments are searched for infinities wherever they are", async () => {
  const { init, destroy } = await import("./runtime/init.ts");
  await init();
  onTestFinished(destroy);
  const reported: OpRun[] = [];
  const { inspect, finish } = watchNumerics((runs) => reported.push(...runs));
  inspect("u", [], tensor([3, 4e9], "u32"));
  inspect("i", [], tensor([-5, 7], "i32"));
  inspect("nothing finite", [], tensor([NaN, Infinity, -Infinity]));
  inspect("empty", [], zeros([0]));
  class Settings {
    bound = Infinity;
  }
  const purposes: [unknown, boolean][] = [
    [Infinity, true],
    [NaN, true],
    [[1, [-Infinity]], true],
    [{ low: { x: NaN } }, true],
    [1, false],
    [null, false],
    ["Infinity", false],
    [{ low: 1 }, false],
    [new Settings(), false],
    [undefined, false],
  ];
  for (const [argument] of purposes) inspect("op", [argument], tensor([1]));
  await finish();
  expect(
    reported.slice(0, 4).map(({ output: { smallest, largest, nan, inf } }) => [smallest, largest, nan, inf]),
  ).toEqual([
    [3, 4e9, 0, 0],
    [-5, 7, 0, 0],
    [undefined, undefined, 1, 2],
    [undefined, undefined, 0, 0],
  ]);
  expect(reported.slice(4).map(({ onPurpose }) => onPurpose)).toEqual(purposes.map(([, want]) => want));
});

test("a log goes with its device, and debug() without a switch changes nothing", async () => {
  const { init, destroy } = await import("./runtime/init.ts");
  await init();
  const reported: OpRun[] = [];
  const { inspect, finish } = watchNumerics((runs) => reported.push(...runs));
  inspect("before", [], tensor([1]));
  await destroy();
  await init();
  inspect("after", [], tensor([2]));
  await finish();
  expect(reported.map(({ op }) => op)).toEqual(["after"]);
  debug({ checkNumerics: true });
  debug({});
  await expect(log(zeros([1])).data()).rejects.toThrow("checkNumerics: log is the first op");
  debug({ checkNumerics: false });
  await destroy();
});
