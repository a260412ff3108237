/** Elements with their shape, on the host. */
export interface Values {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** |got − want| ≤ atol + rtol·|want| passes. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/** How a tensor compares with its golden values. */
export interface Check {
  readonly tensor: string;
  /** |got − want| where it is the largest share of what is tolerated there; a sentence where there is no such number. */
  readonly error: number | string;
  readonly tolerance: number;
  /** error / tolerance: passes up to 1. */
  readonly share: number;
  /** What WGSL does not promise, if all that fails is of that kind: the names of entries in {@link notPromised}. */
  readonly notPromised: readonly string[];
}

/**
 * Tolerances wider than the files' own: for built-ins of which WGSL promises less than PyTorch keeps. There is none: exp, log,
 * tanh, sin, cos, pow and erf are computed more exactly than WGSL's own.
 * @see https://www.w3.org/TR/WGSL/#floating-point-accuracy
 */
export const widened: readonly { cases: RegExp; tolerance: Tolerance; spec: string }[] = [];

/**
 * What WGSL leaves open, and how an element that falls under it is told. Only cases that are marked `special` may.
 * @see https://www.w3.org/TR/WGSL/#differences-from-ieee754
 */
export const notPromised = {
  "NaN and infinity": {
    spec: "implementations may assume that overflow, infinities and NaNs don't occur (WGSL, Differences from IEEE-754)",
    applies: (_got: number, want: number, finiteInput: boolean) => !Number.isFinite(want) || !finiteInput,
  },
  "sign of zero": {
    spec: "implementations may ignore the sign of a zero (WGSL, Differences from IEEE-754)",
    applies: (got: number, want: number) => got === 0 && want === 0,
  },
  subnormals: {
    spec: "subnormal inputs and outputs of operations may be flushed to zero (WGSL, Differences from IEEE-754)",
    applies: (got: number, want: number) => Math.abs(got) < 2 ** -126 && Math.abs(want) < 2 ** -126,
  },
} as const;

/** A check that a value could not be had, or doesn't equal what it should. */
export const mismatch = (tensor: string, sentence: string): Check => ({
  tensor,
  error: sentence,
  tolerance: 0,
  share: Infinity,
  notPromised: [],
});

/** Whether two things are the same, deeply: for names, lists of keys, text. */
export function same(what: string, got: unknown, want: unknown): Check {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a === b) return { tensor: what, error: 0, tolerance: 0, share: 0, notPromised: [] };
  return mismatch(what, `${a?.slice(0, 200)} instead of ${b?.slice(0, 200)}`);
}

/**
 * Compares element by element; NaN equals NaN, and an infinity itself. `special`: zeros have to agree in sign too, and what WGSL
 * doesn't promise is told apart; `finiteInput` says that no input is NaN or infinite, so that a NaN is never excused.
 */
export function compare(
  tensor: string,
  got: Values | undefined,
  want: Values,
  { rtol, atol }: Tolerance,
  special?: { finiteInput: boolean },
): Check {
  if (!got) return mismatch(tensor, "not computed");
  if (got.shape.join() !== want.shape.join())
    return mismatch(tensor, `shape [${got.shape.join()}] instead of [${want.shape.join()}]`);
  let worst: Check = { tensor, error: 0, tolerance: atol, share: 0, notPromised: [] };
  const excuses = new Set<string>();
  for (let i = 0; i < want.data.length; i++) {
    const [g, w] = [got.data[i]!, want.data[i]!];
    if (special ? Object.is(g, w) : g === w || (Number.isNaN(g) && Number.isNaN(w))) continue;
    const tolerance = atol + rtol * Math.abs(w);
    const error = g === w ? 0 : Math.abs(g - w);
    const signOfZero = special !== undefined && g === 0 && w === 0;
    // An error of 0 passes where nothing is tolerated; with an infinity or a NaN there is no share below 1.
    const share = signOfZero || !Number.isFinite(error) ? Infinity : error === 0 ? 0 : error / tolerance;
    if (share <= 1) {
      if (share > worst.share) worst = { ...worst, error, tolerance, share };
      continue;
    }
    const nanForNumber = Number.isNaN(g) && !Number.isNaN(w) && special?.finiteInput === true;
    const excuse =
      special && !nanForNumber && Object.entries(notPromised).find(([, e]) => e.applies(g, w, special.finiteInput));
    if (excuse) excuses.add(excuse[0]);
    else if (!(worst.share >= share)) {
      const told = Number.isFinite(error) ? error : `${show(g)} instead of ${show(w)} (element ${i})`;
      worst = { ...worst, error: told, tolerance, share };
    }
  }
  return worst.share > 1 ? worst : { ...worst, notPromised: [...excuses] };
}

const show = (v: number): string => (Object.is(v, -0) ? "-0" : String(v));
