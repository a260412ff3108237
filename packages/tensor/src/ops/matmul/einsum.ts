import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { sameShape, showShape, sizeOf, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { mul } from "../elementwise/binary.ts";
import { sum } from "../reduce/sum.ts";
import { diagonal } from "../shape/diagonal.ts";
import { expand } from "../shape/expand.ts";
import { permute } from "../shape/permute.ts";
import { reshape } from "../shape/reshape.ts";
import { matmul } from "./matmul.ts";

// An equation is worked off from left to right: each operand's diagonals, then two operands at a time as one batched product of matrices. The steps
// are taken by tensors, or by shapes alone, which say what they would do.

/** What steps are taken by. */
interface Steps<T> {
  shapeOf(x: T): Shape;
  diagonal(x: T, dim1: number, dim2: number): T;
  sum(x: T, dims: number[]): T;
  expand(x: T, shape: Shape): T;
  permute(x: T, dims: number[]): T;
  reshape(x: T, shape: Shape): T;
  matmul(a: T, b: T): T;
  mul(a: T, b: T): T;
}

const withTensors: Steps<Tensor> = {
  shapeOf: (x) => x.shape,
  diagonal: (x, dim1, dim2) => diagonal(x, { dim1, dim2 }),
  sum: (x, dim) => sum(x, { dim }),
  ...{ expand, permute, reshape, matmul, mul },
};

/** An operand with a name for each dimension. */
interface Named<T> {
  x: T;
  names: string[];
}

/** Names of the dimensions that "..." stands for, counted from the last one. */
const ELLIPSIS = [..."0123456789"];

function parse(equation: string, shapes: readonly Shape[]): { operands: string[][]; output: string[] } {
  const where = (): string => `einsum: "${equation}" for ${shapes.map(showShape).join(", ")}`;
  const [left, right, ...more] = equation.replace(/\s/g, "").split("->");
  const terms = left!.split(",");
  check(
    more.length === 0 && [...terms, right ?? ""].every((term) => /^[A-Za-z]*(\.\.\.)?[A-Za-z]*$/.test(term)),
    () =>
      `einsum: "${equation}" is not an equation such as "bij,bjk->bik": letters, "..." once in a term, "," and "->".`,
  );
  check(terms.length === shapes.length, () => `${where()}: ${terms.length} terms for ${shapes.length} operands.`);
  const named = (term: string, rank: number): string[] => {
    const [before = "", after] = term.split("...");
    const rest = after === undefined ? 0 : rank - before.length - after.length;
    check(
      rest >= 0 && rest <= ELLIPSIS.length && before.length + (after?.length ?? 0) + rest === rank,
      () => `${where()}: "${term}" has not as many dimensions as ${rank}.`,
    );
    return [...before, ...ELLIPSIS.slice(0, rest).reverse(), ...(after ?? "")];
  };
  const operands = terms.map((term, i) => named(term, shapes[i]!.length));
  const all = operands.flat();
  const dots = ELLIPSIS.filter((name) => all.includes(name)).reverse();
  if (right === undefined) {
    const once = [...new Set(all)].filter(
      (name) => /[A-Za-z]/.test(name) && all.indexOf(name) === all.lastIndexOf(name),
    );
    return { operands, output: [...dots, ...once.sort()] };
  }
  const [before = "", after] = right.split("...");
  const output = [...before, ...(after === undefined ? [] : dots), ...(after ?? "")];
  check(
    new Set(output).size === output.length && output.every((name) => all.includes(name)),
    () => `${where()}: the result has each of its letters once, and none that no operand has.`,
  );
  return { operands, output };
}

function contract<T>(equation: string, given: readonly T[], steps: Steps<T>): T {
  const shapes = given.map((x) => steps.shapeOf(x));
  const { operands, output } = parse(equation, shapes);
  const sizes = new Map<string, number>();
  operands.forEach((names, i) =>
    names.forEach((name, d) => {
      const [size, known] = [shapes[i]![d]!, sizes.get(name)];
      check(
        known === undefined || known === size || known === 1 || size === 1,
        () => `einsum: "${equation}": ${name} is ${known} and ${size} in ${shapes.map(showShape).join(", ")}.`,
      );
      if (known === undefined || known === 1) sizes.set(name, size);
    }),
  );
  const sizesOf = (names: readonly string[]): number[] => names.map((name) => sizes.get(name)!);

  const prepared = operands.map((names, i): Named<T> => {
    let one: Named<T> = { x: given[i]!, names };
    for (let d = 0; d < one.names.length; d++) {
      const again = one.names.indexOf(one.names[d]!, d + 1);
      if (again < 0) continue;
      const rest = one.names.filter((_, k) => k !== d && k !== again);
      one = { x: steps.diagonal(one.x, d, again), names: [...rest, one.names[d]!] };
      d = -1; // the others have moved
    }
    const whole = sizesOf(one.names);
    return sameShape(steps.shapeOf(one.x), whole) ? one : { ...one, x: steps.expand(one.x, whole) };
  });

  /** Sums what nobody needs any more. */
  const reduced = ({ x, names }: Named<T>, needed: readonly string[]): Named<T> => {
    const dims = names.flatMap((name, d) => (needed.includes(name) ? [] : [d]));
    return dims.length === 0
      ? { x, names }
      : { x: steps.sum(x, dims), names: names.filter((name) => needed.includes(name)) };
  };
  /** The dimensions of groups of names, one for each group. */
  const grouped = ({ x, names }: Named<T>, groups: readonly (readonly string[])[]): T => {
    const order = groups.flat().map((name) => names.indexOf(name));
    const moved = order.every((d, i) => d === i) ? x : steps.permute(x, order);
    return steps.reshape(
      moved,
      groups.map((group) => sizeOf(sizesOf(group))),
    );
  };

  let done = prepared[0]!;
  for (let i = 1; i < prepared.length; i++) {
    const later = [...output, ...prepared.slice(i + 1).flatMap(({ names }) => names)];
    const next = reduced(prepared[i]!, [...later, ...done.names]);
    done = reduced(done, [...later, ...next.names]);
    const both = done.names.filter((name) => next.names.includes(name));
    const [batch, summed] = [both.filter((n) => later.includes(n)), both.filter((n) => !later.includes(n))];
    const [rows, columns] = [done, next].map(({ names }) => names.filter((name) => !both.includes(name))) as [
      string[],
      string[],
    ];
    const product =
      summed.length > 0
        ? steps.matmul(grouped(done, [batch, rows, summed]), grouped(next, [batch, summed, columns]))
        : steps.mul(grouped(done, [batch, rows, []]), grouped(next, [batch, [], columns]));
    const names = [...batch, ...rows, ...columns];
    done = { x: steps.reshape(product, sizesOf(names)), names };
  }
  const last = reduced(done, output);
  const order = output.map((name) => last.names.indexOf(name));
  return order.every((d, i) => d === i) ? last.x : steps.permute(last.x, order);
}

/**
 * Einstein's sums: each operand's dimensions have letters; those that are not in the result are summed. "bij,bjk->bik" is a batch of products;
 * a letter twice in a term is a diagonal; "..." stands for dimensions without letters. Without "->" the result has the letters that occur once, in
 * alphabetical order, capitals first. Two operands at a time become one product of matrices, from left to right: {@link einsumPlan} says how.
 * @throws when the equation or the sizes don't fit
 * @see https://docs.pytorch.org/docs/stable/generated/torch.einsum.html
 */
export const einsum = checked(
  "einsum",
  { equation: "string", operands: "tensors" },
  (equation: string, operands: readonly Tensor[]): Tensor => contract(equation, operands, withTensors),
);

/** The steps that {@link einsum} takes for operands of these shapes, a line each. */
export const einsumPlan = checked(
  "einsumPlan",
  { equation: "string", shapes: "list" },
  (equation: string, shapes: readonly Shape[]): string[] => {
    const lines: string[] = [];
    const step = (what: string, from: readonly Shape[], shape: Shape): Shape => {
      lines.push(`${what} ${from.map(showShape).join(" ")} -> ${showShape(shape)}`);
      return shape;
    };
    contract<Shape>(equation, shapes, {
      shapeOf: (x) => x,
      diagonal: (x, a, b) =>
        step(`diagonal of ${a} and ${b}`, [x], [...x.filter((_, d) => d !== a && d !== b), Math.min(x[a]!, x[b]!)]),
      sum: (x, dims) =>
        step(
          `sum over ${dims.join(", ")}`,
          [x],
          x.filter((_, d) => !dims.includes(d)),
        ),
      expand: (x, shape) => step("expand", [x], shape),
      permute: (x, dims) =>
        step(
          `permute to ${dims.join(", ")}`,
          [x],
          dims.map((d) => x[d]!),
        ),
      reshape: (x, shape) => (sameShape(x, shape) ? x : step("reshape", [x], shape)),
      matmul: (a, b) => step("matmul", [a, b], [a[0]!, a[1]!, b[2]!]),
      mul: (a, b) => step("mul", [a, b], [a[0]!, a[1]!, b[2]!]),
    });
    return lines;
  },
);

/**
 * Sums over pairs of dimensions: the last `dims` of a with the first of b (2 unless given), or those of two lists.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.tensordot.html
 */
export const tensordot = checked(
  "tensordot",
  { a: "tensor", b: "tensor", options: { dims: "any" } },
  (
    a: Tensor,
    b: Tensor,
    { dims = 2 }: { dims?: number | readonly [readonly number[], readonly number[]] } = {},
  ): Tensor => {
    const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
    const [ofA, ofB] = typeof dims === "number" ? [count(dims).map((d) => a.rank - dims + d), count(dims)] : dims;
    check(
      ofA.length === ofB.length && a.rank + b.rank <= 52,
      () =>
        `tensordot: dims ${JSON.stringify(dims)} for ${showShape(a.shape)} and ${showShape(b.shape)}: as many of each.`,
    );
    const letters = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"];
    const left = letters.slice(0, a.rank);
    const right = letters.slice(a.rank, a.rank + b.rank);
    const summed = ofA.map((d) => left.at(d));
    ofB.forEach((d, i) => (right[d < 0 ? d + b.rank : d] = summed[i]!));
    const kept = [...left, ...right].filter((name) => !summed.includes(name));
    return einsum(`${left.join("")},${right.join("")}->${kept.join("")}`, [a, b]);
  },
);
