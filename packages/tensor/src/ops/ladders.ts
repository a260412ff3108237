import { argumentCheck } from "../arguments.ts";
import { didYouMean } from "../did-you-mean.ts";
import { GpugradError } from "../errors.ts";
import { showValue } from "../values.ts";
import { attentionLadder } from "./attention/ladder.ts";
import { geluLadder } from "./elementwise/ladder.ts";
import { choiceFrom, type Choice, type Ladder } from "./ladder.ts";
import { matmulLadder } from "./matmul/ladder.ts";
import { normLadder } from "./norm/ladder.ts";
import { recurrentLadder } from "./recurrent/ladder.ts";
import { positionLadder } from "./relative/ladder.ts";
import { softmaxLadder } from "./softmax/ladder.ts";

/** Every ladder there is: what `pnpm bench`, `pnpm tune` and `pnpm xray` list rungs by. */
export const ladders = {
  attention: attentionLadder,
  gelu: geluLadder,
  matmul: matmulLadder,
  norm: normLadder,
  positions: positionLadder,
  recurrent: recurrentLadder,
  softmax: softmaxLadder,
};

export type LadderName = keyof typeof ladders;
export type RungOf<L extends LadderName> = (typeof ladders)[L] extends Ladder<infer R> ? R : never;

/**
 * Takes this rung of a ladder from now on, whatever the device and the sizes, until the function that it returns is called.
 * @param rung its name, as a tuning writes it (`tiled`, or `tiled/4`), or a choice
 * @throws when the ladder has no such rung
 */
export function forceRung<L extends LadderName>(name: L, rung: string | Choice<RungOf<L>>): () => void {
  const ladder: Ladder | undefined = Object.hasOwn(ladders, name) ? ladders[name] : undefined;
  if (!ladder) throw unknown("withRung: there is no ladder", name, ladders);
  const choice = typeof rung === "string" ? choiceFrom(ladder, rung) : rung;
  if (!choice?.rung) throw unknown(`withRung: ${name} has no rung`, rung, ladder.rungs);
  const before = ladder.forced;
  ladder.forced = choice;
  return () => void (ladder.forced = before);
}

function unknown(what: string, given: unknown, known: object): GpugradError {
  const names = Object.keys(known);
  const [shown, hint] = typeof given === "string" ? [given, didYouMean(given, names)] : [showValue(given), ""];
  return new GpugradError(`${what} ${shown}; there are ${names.join(", ")}.${hint}`);
}

const checkWithRung = argumentCheck("withRung", { ladder: "string", rung: "any", work: "function" });

/**
 * Does `work`, asynchronous or not, with one rung of a ladder: `withRung("matmul", "naive", () => matmul(a, b))`. For tests, measurements
 * and readers: kernels are chosen by device and sizes otherwise. A rung may not be able to compute what it is asked for: ask its `suits`.
 */
export function withRung<L extends LadderName, T>(name: L, rung: string | Choice<RungOf<L>>, work: () => T): T {
  checkWithRung([name, rung, work]);
  const end = forceRung(name, rung);
  let result: T;
  try {
    result = work();
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end) as T;
  end();
  return result;
}
