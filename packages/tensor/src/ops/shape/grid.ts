import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { showShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { mul, sub } from "../elementwise/binary.ts";
import { expand } from "./expand.ts";
import { reshape, unsqueeze } from "./reshape.ts";
import { roll } from "./roll.ts";

/**
 * The coordinates of a grid: for each list one tensor of the grid's shape, that varies along the list's dimension. With
 * `indexing: "xy"` the first two dimensions are exchanged, as for images.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.meshgrid.html
 */
export const meshgrid = checked(
  "meshgrid",
  { tensors: "tensors", options: { indexing: ["ij", "xy"] } },
  (tensors: readonly Tensor[], { indexing = "ij" }: { indexing?: "ij" | "xy" } = {}): Tensor[] => {
    for (const t of tensors)
      check(t.rank <= 1, () => `meshgrid: ${showShape(t.shape)} is not a list of coordinates. flatten() it.`);
    const order = [...tensors.keys()];
    if (indexing === "xy" && order.length >= 2) order.splice(0, 2, 1, 0);
    const shape = order.map((i) => tensors[i]!.size);
    return tensors.map((t, i) => {
      const along = shape.map((_, d) => (order[d] === i ? t.size : 1));
      return expand(reshape(t, along), shape);
    });
  },
);

/** The product of each element of a with each of b: [n] and [m] give [n, m]. */
export const outer = checked("outer", { a: "tensor", b: "tensor" }, (a: Tensor, b: Tensor): Tensor => {
  check(
    a.rank === 1 && b.rank === 1,
    () => `outer: a ${showShape(a.shape)} and b ${showShape(b.shape)} are two vectors.`,
  );
  return mul(unsqueeze(a, 1), unsqueeze(b, 0));
});

/** The cross product along `dim` (the last one), which has 3 elements; the others are broadcast. */
export const cross = checked(
  "cross",
  { a: "tensor", b: "tensor", options: { dim: "dim?" } },
  (a: Tensor, b: Tensor, { dim = -1 }: { dim?: number } = {}): Tensor => {
    for (const x of [a, b])
      check(x.shape.at(dim) === 3, () => `cross: dimension ${dim} of ${showShape(x.shape)} does not have 3 elements.`);
    const turned = (x: Tensor, by: number): Tensor => roll(x, -by, dim);
    return sub(mul(turned(a, 1), turned(b, 2)), mul(turned(a, 2), turned(b, 1)));
  },
);
