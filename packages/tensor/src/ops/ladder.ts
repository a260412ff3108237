import type { AdapterInfo } from "../runtime/adapter.ts";
import { rungNames } from "../runtime/left-out.ts";

/** One of several ways to compute something. All rungs of a ladder give the same result, up to rounding. */
export interface Rung<Sizes = never, Task = never> {
  /** What its ladder, tunings and command lines call it: `tiledLarge`. */
  readonly name: string;
  /** The kernel, with what distinguishes it from others of the same file: `matmul-tiled 128×128`. */
  readonly kernel: string;
  /** What is new in it, in one line. */
  readonly idea: string;
  /** Whether it can compute this here at all. */
  suits(adapter: AdapterInfo, sizes: Sizes): boolean;
  compute(this: void, task: Task): void;
}

/** A rung, and in how many parts it takes a long sum, if not by its own rule. */
export interface Choice<R extends Rung = Rung> {
  readonly rung: R;
  readonly splits?: number | undefined;
}

/** The rungs of a room by name, the simplest first. */
export interface Ladder<R extends Rung = Rung, Name extends string = string> {
  readonly rungs: Readonly<Record<Name, R>>;
  /** The rung that can compute everything, everywhere: it can't be left out. */
  readonly lastResort: R;
  /** What is taken instead of the room's own choice: see `withRung` in ladders.ts. */
  forced: Choice<R> | undefined;
}

/** A rung before its ladder has named it. */
export type Unnamed<R extends Rung> = Omit<R, "name">;

/** Where the rungs that compute something are noted, by `matmul/tiled`, while {@link rungsTaken} asks. */
let taken: Set<string> | undefined;

/** A room's rungs. One that an adapter's `leftOut` names never suits. */
/* @__NO_SIDE_EFFECTS__ */
export function ladder<R extends Rung, Name extends string>(
  room: string,
  rungs: Record<Name, Unnamed<R>>,
  lastResort: Name,
): Ladder<R, Name> {
  const named = Object.entries<Unnamed<R>>(rungs).map(([name, rung]) => {
    const key = `${room}/${name}`;
    rungNames.set(key, { lastResort: name === lastResort });
    const suits: R["suits"] = (adapter, sizes) => !adapter.leftOut?.includes(key) && rung.suits(adapter, sizes);
    const compute: R["compute"] = (task) => {
      taken?.add(key);
      rung.compute(task);
    };
    return [name, Object.assign(Object.create(rung) as Unnamed<R>, { name, suits, compute })]; // what is loaded later shows
  });
  const made = Object.fromEntries(named) as Record<Name, R>;
  return { rungs: made, lastResort: made[lastResort], forced: undefined };
}

/** Does `work`, and says which rungs computed in it. */
export function rungsTaken<T>(work: () => T): { result: T; rungs: string[] } {
  const outer = taken;
  const mine = (taken = new Set());
  try {
    return { result: work(), rungs: [...mine] };
  } finally {
    taken = outer;
  }
}

/** The first of these rungs that suits, or else the ladder's last resort. */
export const firstThatSuits = <R extends Rung<Sizes, never>, Sizes>(
  { lastResort }: Pick<Ladder<R>, "lastResort">,
  order: readonly R[],
  adapter: AdapterInfo,
  sizes: Sizes,
): R => order.find((rung) => rung.suits(adapter, sizes)) ?? lastResort;

/** A choice as a tuning writes it: `tiledLarge`, or `tiledLarge/8`. Undefined if there is no such rung. */
export function choiceFrom<R extends Rung>({ rungs }: Ladder<R>, text: string): Choice<R> | undefined {
  const [name, splits] = text.split("/");
  if (!Object.hasOwn(rungs, name!)) return undefined;
  return { rung: rungs[name!]!, splits: splits === undefined ? undefined : Number(splits) };
}
