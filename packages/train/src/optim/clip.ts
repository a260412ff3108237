import { empty, GpugradError, kernel, run, scope, type Tensor } from "@gpugrad/tensor";
import factorCode from "./clip-factor.wgsl";
import valueCode from "./clip-value.wgsl";
import partialsCode from "./norm-partials.wgsl";
import scaleCode from "./scale.wgsl";

const partialsKernel = kernel("train/optim/norm-partials.wgsl", partialsCode);
const factorKernel = kernel("train/optim/clip-factor.wgsl", factorCode);
const scaleKernel = kernel("train/optim/scale.wgsl", scaleCode);
const valueKernel = kernel("train/optim/clip-value.wgsl", valueCode);

/** At most this many partial sums per gradient, each over at least 64 elements. */
const MAX_SLOTS = 4096;
const slotsFor = (count: number): number => Math.max(1, Math.min(MAX_SLOTS, Math.ceil(count / 64)));

const gradientsOf = (parameters: Iterable<Tensor>): Tensor[] => [...parameters].flatMap((p) => p.grad ?? []);

/**
 * Scales all gradients in place so that their norm together is at most `maxNorm`, and returns the norm before, an f32 scalar still on the
 * device: nothing is read back. The factor is min(1, maxNorm / (norm + 1e-6)). An infinite norm makes infinities NaN and all else
 * 0; a NaN makes every gradient NaN. With `maxNorm` Infinity the norm is only measured.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
 */
export function clipGradNorm(
  parameters: Iterable<Tensor>,
  maxNorm: number,
  { normType = 2 }: { normType?: 1 | 2 | typeof Infinity } = {},
): Tensor {
  if (![1, 2, Infinity].includes(normType))
    throw new GpugradError(`clipGradNorm: normType ${normType}; it may be 1, 2 or Infinity.`);
  const gradients = gradientsOf(parameters);
  const slots = gradients.map((g) => slotsFor(g.size));
  const total = slots.reduce((a, b) => a + b, 0);
  const overrides = { NORM: normType === Infinity ? 0 : normType };
  return scope(() => {
    const partials = empty([Math.max(1, total)]);
    let first = 0;
    gradients.forEach((x, i) => {
      run(
        partialsKernel,
        { x, partials },
        { count: x.size, slots: slots[i]!, first },
        { threads: slots[i]!, overrides },
      );
      first += slots[i]!;
    });
    const norm = empty([]);
    const factor = empty([]);
    run(factorKernel, { partials, norm, factor }, { slots: total, max_norm: maxNorm }, { workgroups: 1, overrides });
    for (const x of maxNorm === Infinity ? [] : gradients) {
      run(scaleKernel, { x, factor }, { count: x.size }, { threads: x.size });
      x.storage.version++;
    }
    return norm;
  });
}

/**
 * Bounds every element of every gradient to [−clipValue, clipValue], in place. Infinities become the bound, NaN stays.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
 */
export function clipGradValue(parameters: Iterable<Tensor>, clipValue: number): void {
  for (const x of gradientsOf(parameters)) {
    run(valueKernel, { x }, { count: x.size, bound: clipValue }, { threads: x.size });
    x.storage.version++;
  }
}
