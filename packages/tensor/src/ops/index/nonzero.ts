import { checked } from "../../arguments.ts";
import { check } from "../../errors.ts";
import { kernel } from "../../runtime/kernel.ts";
import { run } from "../../runtime/run.ts";
import { scope } from "../../scope.ts";
import { broadcastShapes, type Shape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { cast } from "../cast/cast.ts";
import { applyBinary } from "../elementwise/apply.ts";
import { cumsum } from "../reduce/cumsum.ts";
import { expand } from "../shape/expand.ts";
import { flatten } from "../shape/reshape.ts";
import { slice } from "../shape/slice.ts";
import { indexSelect } from "./index-select.ts";
import code from "./nonzero.wgsl";
import { innermostFirst } from "./put.ts";

const nonzeroKernel = kernel("ops/index/nonzero.wgsl", code);

/** Where x is not 0, by indices of `shape`, which has x's size: i32 [count, dimensions of `shape`]. */
async function places(x: Tensor, shape: Shape): Promise<Tensor> {
  if (x.size === 0) return empty([0, shape.length], "i32");
  return scope(async () => {
    const nonzero = x.dtype === "bool" ? x : applyBinary("ne", x, 0, x.shape, x.dtype);
    const flags = cast(flatten(nonzero), "i32");
    const ends = cumsum(flags, { dim: 0 });
    const count = await slice(ends, [[-1]]).item(); // how large the result is, only the device knows
    const y = empty([count, shape.length], "i32");
    const params = { sizes: innermostFirst(shape), rank: shape.length, count: x.size };
    if (y.size > 0) run(nonzeroKernel, { flags, ends, y }, params, { threads: x.size });
    return y;
  });
}

/**
 * The indices of what is not 0 (NaN is not), one row each, in row-major order: i32 [count, x's dimensions]. Waits for the device,
 * which alone knows the count.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nonzero.html
 */
export const nonzero = checked("nonzero", { x: "tensor" }, (x: Tensor): Promise<Tensor> => places(x, x.shape));

/**
 * The elements where `mask` (bool) is true, in row-major order: one dimension; x and mask are broadcast. Waits for the device, which
 * alone knows how many there are. Rows by a mask: `index(x, unbind(await nonzero(mask), { dim: 1 }))`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.masked_select.html
 */
export const maskedSelect = checked(
  "maskedSelect",
  { x: "tensor", mask: "tensor" },
  async (x: Tensor, mask: Tensor): Promise<Tensor> => {
    check(mask.dtype === "bool", () => `maskedSelect: the mask is ${mask.dtype}, not bool. Use ne(the mask, 0).`);
    const shape = broadcastShapes("maskedSelect", x.shape, mask.shape);
    const where = await places(expand(mask, shape), [shape.reduce((a, b) => a * b, 1)]);
    return indexSelect(flatten(expand(x, shape)), 0, flatten(where));
  },
);
