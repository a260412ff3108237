import { destroy, init, undisposed } from "@gpugrad/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linesTouched } from "./choice-puzzles.ts";
import { judge } from "./judge.ts";
import type { BarrierPuzzle, ChoicePuzzle, CodePuzzle } from "./puzzle.ts";
import { course } from "./puzzles.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const of = <K extends string>(kind: K) =>
  course.flatMap(({ page, puzzle }) => (puzzle.kind === kind ? [{ page, puzzle }] : []));

describe.each(of("code") as { page: string; puzzle: CodePuzzle }[])("$page", ({ puzzle }) => {
  test("what the editor starts with is wrong, the solution right, and nothing is left behind", async () => {
    const before = undisposed();
    const start = await judge(puzzle, puzzle.start);
    expect(start.message).toMatch(/^With .+: \w+\[\d+\] is .+, and should be /);
    expect(start.right).toBe(false);
    expect(await judge(puzzle, puzzle.solution)).toEqual({ right: true, message: "Right, in every trial." });
    expect(undisposed()).toBe(before);
  });
});

// Answers that come to mind, and are wrong.
test.each([
  ["invocations", "  y[i] = max(x[i], 0.0);", /With 5 elements: y\[5\] is .*should be -7/],
  ["softmax", "  var m = 0.0;\n  for (var c = 0u; c < params.cols; c++) { m = max(m, x[first + c]); }", /near −200: y\[0\] is NaN/], // prettier-ignore
  ["matmul", "    sum += a[row * params.inner + k] * b[col * params.inner + k];", /With \[2, 2\]/],
  ["online-softmax", "    let shrink = exp(m - top);\n    l = l * shrink + exp(s - top);\n    acc = acc + exp(s - top) * values[j];\n    m = top;", /With rising/], // prettier-ignore
  ["backward", "  for (var c = 0u; c < params.cols; c++) { dx[first + c] = dy[first + c] * y[first + c] * (1.0 - y[first + c]); }", /dy alike/], // prettier-ignore
])("%s: %s", async (page, answer, message) => {
  const { puzzle } = course.find((each) => each.page === page)!;
  const verdict = await judge(puzzle as CodePuzzle, answer);
  expect(verdict.right).toBe(false);
  expect(verdict.message).toMatch(message);
});

test("what doesn't compile is said with its line, and the device stays", async () => {
  const { puzzle } = course.find(({ page }) => page === "invocations")! as { puzzle: CodePuzzle };
  const verdict = await judge(puzzle, "  y[i] = nothing;");
  expect(verdict).toMatchObject({ right: false, message: expect.stringMatching(/doesn't compile.*nothing/s) as string }); // prettier-ignore
  expect((await judge(puzzle, puzzle.solution)).right).toBe(true);
});

describe.each(of("barriers") as { page: string; puzzle: BarrierPuzzle }[])("$page", ({ puzzle }) => {
  test("no choice of fewer barriers is right, and the solution is", () => {
    const places = puzzle.lines.filter((line) => line === undefined).length;
    expect(puzzle.solution).toHaveLength(puzzle.fewest);
    expect(puzzle.simulate(new Set(puzzle.solution))).toBeUndefined();
    for (let bits = 0; bits < 2 ** places; bits++) {
      const barriers = new Set(Array.from({ length: places }, (_, i) => i).filter((i) => bits & (1 << i)));
      if (barriers.size < puzzle.fewest) expect(puzzle.simulate(barriers), `${[...barriers].join()}`).toMatch(/\w/);
    }
  });
});

test("lines touched by neighbours, and one right answer", () => {
  expect([1, 2, 4, 1024].map((step) => linesTouched((lane) => lane * step))).toEqual([1, 2, 4, 32]);
  for (const { puzzle } of of("choice") as { puzzle: ChoicePuzzle }[])
    expect(puzzle.options.filter(({ right }) => right)).toHaveLength(1);
});
