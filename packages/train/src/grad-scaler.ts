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

/** The state before the first step. */
export function initGradScaler(options: GradScalerOptions = {}): GradScalerState {
  return { scale: options.initScale ?? 65536, growthTracker: 0 };
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
  const { growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
  if (foundInf) return { scale: Math.fround(state.scale * backoffFactor), growthTracker: 0 };
  if (state.growthTracker + 1 < growthInterval) return { scale: state.scale, growthTracker: state.growthTracker + 1 };
  const grown = Math.fround(state.scale * growthFactor);
  return { scale: Number.isFinite(grown) ? grown : state.scale, growthTracker: 0 };
}
