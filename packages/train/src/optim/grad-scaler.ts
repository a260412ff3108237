import {
  add,
  checkOptions,
  concat,
  copyInto,
  fill,
  full,
  GpugradError,
  keep,
  kernel,
  mul,
  ones,
  run,
  scope,
  slice,
  stack,
  zeros,
  type Takes,
  type Tensor,
} from "@gpugrad/tensor";
import { clipFactor, factorOf, gradientsOf, scaleGradients } from "./clip.ts";
import lossScaleCode from "./loss-scale.wgsl";
import type { GradientFactor, Optimizer } from "./optimizer.ts";

const lossScaleKernel = kernel("train/optim/loss-scale.wgsl", lossScaleCode);

/** Loss scale of mixed-precision training, and the good steps since it last changed. */
export type GradScalerState = { scale: number; growthTracker: number };

/** PyTorch's `GradScaler` arguments; defaults in brackets. */
export type GradScalerOptions = {
  /** The first scale (65536). */
  initScale?: number;
  /** Multiplies the scale after `growthInterval` good steps (2). */
  growthFactor?: number;
  /** Multiplies the scale after a step with an infinite or NaN gradient (0.5). */
  backoffFactor?: number;
  /** Good steps in a row before the scale grows (2000). */
  growthInterval?: number;
};

const defaults: Required<GradScalerOptions> = {
  initScale: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthInterval: 2000,
};

const TAKES: Takes = {
  ...{ initScale: "number?", growthFactor: "number?", backoffFactor: "number?", growthInterval: "number?" },
};

/** The state before the first step. */
export function initGradScaler(options: GradScalerOptions = {}): GradScalerState {
  checkOptions("initGradScaler", options, TAKES);
  return { scale: options.initScale ?? defaults.initScale, growthTracker: 0 };
}

/**
 * The state after a step: a step with non-finite gradients (which the optimizer skips) shrinks the scale and restarts the
 * count; `growthInterval` good steps in a row let it grow, unless float32 would overflow.
 *
 * @see https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler
 */
export function updateGradScaler(
  state: GradScalerState,
  foundInf: boolean,
  options: GradScalerOptions = {},
): GradScalerState {
  checkOptions("updateGradScaler", options, TAKES);
  const { growthFactor, backoffFactor, growthInterval } = { ...defaults, ...options };
  if (foundInf) return { scale: Math.fround(state.scale * backoffFactor), growthTracker: 0 };
  if (state.growthTracker + 1 < growthInterval) return { scale: state.scale, growthTracker: state.growthTracker + 1 };
  const grown = Math.fround(state.scale * growthFactor);
  return { scale: Number.isFinite(grown) ? grown : state.scale, growthTracker: 0 };
}

/** What a scaler asks of an optimizer. */
type AnyOptimizer = Pick<Optimizer, "parameters" | "step">;

/** What `stateDict()` gives and `loadStateDict()` takes. */
export type GradScalerStateDict = GradScalerState & Omit<Required<GradScalerOptions>, "initScale">;

/** What PyTorch's `step` has no need of: there, clipping goes before it. */
export interface ScaledStepOptions {
  /** Clip to this norm, in the same pass: instead of `unscale()` and `clipGradNorm()`. */
  maxNorm?: number;
  /** An f32 scalar: where it isn't 0, the step is left out as if a gradient were not finite. */
  unless?: Tensor;
}

/**
 * Loss scaling for mixed precision, as `torch.amp.GradScaler` does it: gradients that would vanish in f16 are those of a scaled loss. A
 * step with an infinite or NaN gradient is left out, and the scale shrinks. All of that is decided on the device; nothing is read back.
 *
 * ```ts
 * const { loss } = autocast(() => model.forward(batch));
 * scaler.scale(loss).backward();
 * scaler.step(optimizer, { maxNorm: 1 });
 * scaler.update();
 * optimizer.zeroGrad();
 * ```
 * @see https://docs.pytorch.org/docs/stable/amp.html#torch.amp.GradScaler, and docs/decisions/optimizer.md
 */
export class GradScaler {
  /** Without it, `scale` gives back the loss, and `step` only clips: for programs that are written once for both. */
  readonly enabled: boolean;
  #options: Required<GradScalerOptions>;
  readonly #scalars: { readonly scale: Tensor; readonly tracker: Tensor; readonly found: Tensor } | undefined;
  /** What was done for an optimizer since the last update. */
  readonly #done = new Map<AnyOptimizer, "stepped" | GradientFactor>();

  constructor({ enabled = true, ...options }: GradScalerOptions & { enabled?: boolean } = {}) {
    checkOptions("GradScaler", { enabled, ...options }, { enabled: "boolean?", ...TAKES });
    this.enabled = enabled;
    this.#options = { ...defaults, ...options };
    const { initScale, growthFactor, backoffFactor, growthInterval } = this.#options;
    if (!(
      initScale > 0 &&
      initScale < Infinity &&
      growthFactor > 1 &&
      backoffFactor < 1 &&
      backoffFactor > 0 &&
      growthInterval >= 1
    )) {
      throw new GpugradError(
        `GradScaler: initScale ${initScale}, growthFactor ${growthFactor}, backoffFactor ${backoffFactor}, growthInterval ` +
          `${growthInterval}. Needed: scale > 0, growth > 1, backoff between 0 and 1, interval at least 1.`,
      );
    }
    if (enabled) this.#scalars = { scale: keep(full([], initScale)), tracker: keep(zeros([])), found: keep(zeros([])) };
  }

  /** loss · scale: call `backward()` on it. */
  scale(loss: Tensor): Tensor {
    return this.#scalars ? mul(loss, this.#scalars.scale) : loss;
  }

  /**
   * Divides the gradients of an optimizer by the scale, in place, to look at them or to clip them before `step`. Not needed otherwise.
   * @throws when it was called before, or `step` was, since the last `update`
   */
  unscale(optimizer: AnyOptimizer): void {
    if (!this.#scalars) return;
    const done = this.#done.get(optimizer);
    if (done) {
      throw new GpugradError(
        `GradScaler: unscale() comes after ${done === "stepped" ? "step()" : "another unscale()"} of the same optimizer. Call update() first.`,
      );
    }
    const { scale, found } = this.#scalars;
    const checked = scope(() => {
      const gradients = gradientsOf(optimizer.parameters);
      const by = factorOf(gradients, { maxNorm: Infinity, scale, found });
      scaleGradients(gradients, by);
      return { ...by, factor: concat([ones([1]), slice(by.factor, [[1]])]) }; // what is left for step(): whether to take it
    });
    keep(checked.norm);
    keep(checked.factor);
    this.#done.set(optimizer, checked);
  }

  /**
   * One step of the optimizer, with gradients divided by the scale and clipped to `maxNorm`; if one of them is infinite or NaN nothing
   * changes. Returns the norm of the gradients, after division by the scale and before clipping, still on the device.
   * @throws when it was called before since the last `update`, or for `maxNorm` after `unscale`
   */
  step(optimizer: AnyOptimizer, options: ScaledStepOptions = {}): Tensor {
    checkOptions("GradScaler.step", options, { maxNorm: "number?", unless: "tensor?" });
    const by = this.#factorFor(optimizer, options);
    optimizer.step(by);
    return by.norm;
  }

  #factorFor(optimizer: AnyOptimizer, { maxNorm = Infinity, unless }: ScaledStepOptions): GradientFactor {
    if (!this.#scalars) return clipFactor(optimizer.parameters, maxNorm);
    const done = this.#done.get(optimizer);
    if (done === "stepped")
      throw new GpugradError(
        "GradScaler: step() comes after another step() of the same optimizer. Call update() first.",
      );
    if (done && (maxNorm < Infinity || unless)) {
      const what = unless ? "take unless" : "clip";
      throw new GpugradError(
        `GradScaler: step() can't ${what} after unscale(). Leave unscale() out, or call clipGradNorm() between the two.`,
      );
    }
    this.#done.set(optimizer, "stepped");
    if (!done) {
      const { scale, found } = this.#scalars;
      if (unless) scope(() => copyInto(found, add(found, unless)));
      return factorOf(gradientsOf(optimizer.parameters), {
        ...{ maxNorm, scale, found },
        staysFound: unless !== undefined,
      });
    }
    const by = { ...done, norm: done.norm.alias(), factor: done.factor.alias() }; // they belong to the scope around
    done.norm.dispose();
    done.factor.dispose();
    return by;
  }

  /**
   * Changes the scale by what the steps since the last update found, or to `newScale`.
   * @throws when there was no step
   */
  update(newScale?: number): void {
    if (!this.#scalars) return;
    const { scale, tracker, found } = this.#scalars;
    if (newScale !== undefined) {
      if (!(newScale > 0 && newScale < Infinity))
        throw new GpugradError(`GradScaler.update: the new scale is ${newScale}; it has to be above 0 and finite.`);
      fill(scale, newScale);
      fill(found, 0);
    } else {
      if (this.#done.size === 0)
        throw new GpugradError("GradScaler: update() without a step() since the last one: no gradient was looked at.");
      const { growthFactor: growth, backoffFactor: backoff, growthInterval: interval } = this.#options;
      run(lossScaleKernel, { scale, tracker, found }, { growth, backoff, interval }, { workgroups: 1 });
      for (const changed of [scale, tracker, found]) changed.storage.version++;
    }
    this.#forget();
  }

  /** Scale in force, and 1 if a gradient since the last `update` was infinite or NaN, else 0: two f32 on the device. */
  report(): Tensor {
    return this.#scalars ? stack([this.#scalars.scale, this.#scalars.found]) : concat([ones([1]), zeros([1])]);
  }

  /** The scale in force: waits for the device. */
  async getScale(): Promise<number> {
    return this.#scalars ? this.#scalars.scale.item() : 1;
  }

  /** All that `loadStateDict` needs to continue from here: waits for the device. */
  async stateDict(): Promise<GradScalerStateDict> {
    const { growthFactor, backoffFactor, growthInterval, initScale } = this.#options;
    const fixed = { growthFactor, backoffFactor, growthInterval };
    if (!this.#scalars) return { ...fixed, scale: initScale, growthTracker: 0 };
    const { scale, tracker } = this.#scalars;
    const both = stack([scale, tracker]);
    const values = both.data();
    both.dispose(); // the read is recorded; the memory may go
    const [now, growthTracker] = await values;
    return { ...fixed, scale: now!, growthTracker: growthTracker! };
  }

  /** Continues where `stateDict` was taken. */
  loadStateDict({ scale, growthTracker, ...fixed }: GradScalerStateDict): void {
    const state = { scale, growthTracker, ...fixed };
    checkOptions("GradScaler.loadStateDict", state, { scale: "number", growthTracker: "number", ...TAKES });
    this.#options = { ...this.#options, ...fixed };
    if (!this.#scalars) return;
    fill(this.#scalars.scale, scale);
    fill(this.#scalars.tracker, growthTracker);
  }

  #forget(): void {
    for (const done of this.#done.values()) {
      if (done === "stepped") continue;
      done.norm.dispose();
      done.factor.dispose();
    }
    this.#done.clear();
  }

  /** Gives its memory back. */
  dispose(): void {
    this.#forget();
    for (const scalar of Object.values<Tensor>(this.#scalars ?? {})) if (!scalar.disposed) scalar.dispose();
  }
}
