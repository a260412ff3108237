import {
  argumentCheck,
  device,
  empty,
  GpugradError,
  kernel,
  ones,
  run,
  scope,
  showValue,
  specialize,
  Tensor,
  zeros,
  type Kernel,
} from "@gpugrad/tensor";
import factorCode from "./clip-factor.wgsl";
import valueCode from "./clip-value.wgsl";
import sixCode from "./norm-partials-six.wgsl";
import partialsCode from "./norm-partials.cpu.wgsl";
import { SMALL, vectorsOf, type GradientFactor } from "./optimizer.ts";
import scaleCode from "./scale.wgsl";

const partialsKernel = kernel("train/optim/norm-partials.cpu.wgsl", partialsCode);
const sixKernel = kernel("train/optim/norm-partials-six.wgsl", sixCode);
const factorKernel = kernel("train/optim/clip-factor.wgsl", factorCode);
const scaleKernel = kernel("train/optim/scale.wgsl", scaleCode);
const valueKernel = kernel("train/optim/clip-value.wgsl", valueCode);

/** Elements of a large gradient that a workgroup takes. */
const CHUNK = 8192;

const checkClipFactor = argumentCheck("clipFactor", {
  ...{ parameters: "iterable", maxNorm: "number" },
  options: { normType: "number?", skipNonFinite: "boolean?" },
});
const checkClipGradNorm = argumentCheck("clipGradNorm", {
  ...{ parameters: "iterable", maxNorm: "number" },
  options: { normType: "number?" },
});
const checkClipGradValue = argumentCheck("clipGradValue", { parameters: "iterable", clipValue: "number" });

/** A bound may be infinite: then nothing is clipped. */
function checkBound(owner: string, bound: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(bound))
    if (!(value >= 0)) throw new GpugradError(`${owner}: ${name} is ${value}; it has to be at least 0.`);
}

/** The gradients that parameters have. */
export function gradientsOf(parameters: Iterable<Tensor>, owner = "gradients"): Tensor[] {
  return Array.from(parameters, (p, i) => {
    if (p instanceof Tensor) return p.grad ?? [];
    throw new GpugradError(`${owner}: parameters[${i}] is ${showValue(p)}, not a tensor. Give model.parameters().`);
  }).flat();
}

/** Which norm, as PyTorch's `norm_type`. */
export interface NormOptions {
  normType?: 1 | 2 | typeof Infinity;
}

export interface ClipFactorOptions extends NormOptions {
  /** Whether a step with an infinite or NaN gradient is left out: then nothing changes, and `found` is 1 (false). */
  skipNonFinite?: boolean;
}

/**
 * What `clipGradNorm` would multiply all gradients by, for `optimizer.step(clipFactor(…))` to do so while it reads them: the same
 * numbers, without a pass over the gradients. They stay as they are.
 *
 * ```ts
 * const by = clipFactor(optimizer.parameters, 1, { skipNonFinite: true });
 * optimizer.step(by); // by.norm and by.found are on the device
 * ```
 */
export function clipFactor(
  parameters: Iterable<Tensor>,
  maxNorm: number,
  options: ClipFactorOptions & { skipNonFinite: true },
): GradientFactor & { readonly found: Tensor };
export function clipFactor(parameters: Iterable<Tensor>, maxNorm: number, options?: ClipFactorOptions): GradientFactor;
export function clipFactor(
  parameters: Iterable<Tensor>,
  maxNorm: number,
  options: ClipFactorOptions = {},
): GradientFactor {
  checkClipFactor([parameters, maxNorm, options]);
  checkBound("clipFactor", { maxNorm });
  const { normType = 2, skipNonFinite = false } = options;
  return scope(() =>
    factorOf(gradientsOf(parameters, "clipFactor"), {
      ...{ maxNorm, normType, scale: ones([]) },
      ...(skipNonFinite && { found: zeros([]) }),
    }),
  );
}

/** What {@link factorOf} takes. */
interface FactorOptions extends NormOptions {
  maxNorm: number;
  scale: Tensor;
  /** An f32 scalar that a gradient which isn't finite sets to 1; the optimizer then leaves the step out. */
  found?: Tensor;
  /** Leave it out also where `found` is 1 before, or the norm isn't finite (false). */
  staysFound?: boolean;
}

/** The factor min(1, maxNorm / (norm + 1e-6)) / scale of gradients that are `scale` times too large. */
export function factorOf(
  gradients: readonly Tensor[],
  { maxNorm, normType = 2, scale, found, staysFound = false }: FactorOptions,
): GradientFactor {
  if (![1, 2, Infinity].includes(normType))
    throw new GpugradError(`clipGradNorm: normType ${normType}; it may be 1, 2 or Infinity.`);
  const NORM = normType === Infinity ? 0 : normType;
  return scope(() => {
    const large = gradients.filter((g) => g.size > SMALL);
    const small = gradients.filter((g) => g.size > 0 && g.size <= SMALL);
    const partialsOf = (g: Tensor): number => Math.ceil(g.size / (g.size > SMALL ? CHUNK : SMALL));
    const count = gradients.reduce((sum, g) => sum + partialsOf(g), 0);
    const partials = empty([Math.max(1, count), 2]);
    let first = 0;
    const takeSix = (six: readonly Tensor[], from: Kernel): void => {
      const [g0, g1 = g0, g2 = g0, g3 = g0, g4 = g0, g5 = g0] = six as [Tensor, ...Tensor[]];
      let workgroups = 0;
      const until = Array.from({ length: 8 }, (_, j) => (workgroups += six[j] ? partialsOf(six[j]) : 0));
      const counts = Array.from({ length: 8 }, (_, j) => six[j]?.size ?? 0);
      const overrides = { NORM, CHUNK: (g0.size > SMALL ? CHUNK : SMALL) / 4 };
      run(from, { g0, g1, g2, g3, g4, g5, scale, partials }, { counts, until, first }, { workgroups, overrides });
      first += workgroups;
    };
    if (device().adapter.cpu) {
      for (const g of large) {
        const workgroups = partialsOf(g);
        run(partialsKernel, { g, scale, partials }, { count: g.size, first }, { workgroups, overrides: { NORM } });
        first += workgroups;
      }
    } else {
      const wide = specialize(sixKernel, { LANES: "256u" }); // a GPU keeps more loads under way
      for (let i = 0; i < large.length; i += 6) takeSix(large.slice(i, i + 6), wide);
    }
    for (let i = 0; i < small.length; i += 6) takeSix(small.slice(i, i + 6), sixKernel);
    const norm = empty([]);
    const factor = empty([4]);
    run(
      factorKernel,
      { partials, scale, found: found ?? empty([]), norm, factor },
      { count, max_norm: maxNorm },
      { workgroups: 1, overrides: { NORM, CLIP: maxNorm < Infinity ? 1 : 0, SKIP: !found ? 0 : staysFound ? 2 : 1 } },
    );
    return { norm, factor, ...(found && { found }) };
  });
}

/** Multiplies gradients by a factor in place. */
export function scaleGradients(gradients: readonly Tensor[], { factor }: GradientFactor): void {
  for (const x of gradients) {
    const vectors = vectorsOf(x.size);
    run(scaleKernel, { x, factor }, { vectors }, { threads: vectors });
    x.storage.version++;
  }
}

/**
 * Scales all gradients in place so that their norm together is at most `maxNorm`, and returns the norm before, an f32 scalar still on the
 * device: nothing is read back. The factor is min(1, maxNorm / (norm + 1e-6)). An infinite norm makes infinities NaN and all else
 * 0; a NaN makes every gradient NaN. With `maxNorm` Infinity the norm is only measured.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html, and `clipFactor` for a step without this pass
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number, options: NormOptions = {}): Tensor {
  checkClipGradNorm([parameters, maxNorm, options]);
  checkBound("clipGradNorm", { maxNorm });
  const given = [...parameters];
  return scope(() => {
    const gradients = gradientsOf(given, "clipGradNorm");
    const clipping = clipFactor(given, maxNorm, options);
    if (maxNorm < Infinity) scaleGradients(gradients, clipping);
    return clipping.norm;
  });
}

/**
 * Bounds every element of every gradient to [−clipValue, clipValue], in place. Infinities become the bound, NaN stays.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
 */
export function clipGradValue(parameters: Iterable<Tensor>, clipValue: number): void {
  checkClipGradValue([parameters, clipValue]);
  checkBound("clipGradValue", { clipValue });
  for (const x of gradientsOf(parameters, "clipGradValue")) {
    const vectors = vectorsOf(x.size);
    run(valueKernel, { x }, { vectors, bound: clipValue }, { threads: vectors });
    x.storage.version++;
  }
}
