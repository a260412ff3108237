import { DataError } from "../errors.ts";
import { shuffledIndices } from "../random.ts";

/**
 * The fold, from 0, that each row is held out in: as scikit-learn's `StratifiedKFold` has it, every fold has its share of each class. Without a
 * seed they are scikit-learn's folds without `shuffle`; with one, a class's rows are shuffled among the same places.
 *
 * @param labels a class for each row
 * @throws {@link DataError} where no class has a row for each fold
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.StratifiedKFold.html
 */
export function stratifiedFolds(
  labels: ArrayLike<number>,
  folds: number,
  { seed }: { seed?: number } = {},
): Int32Array {
  // prettier-ignore
  checkFolds("stratifiedFolds", labels.length, folds);
  const rowsOf = new Map<number, number[]>(); // classes in the order in which they come
  for (let i = 0; i < labels.length; i++) {
    const rows = rowsOf.get(labels[i]!);
    if (rows) rows.push(i);
    else rowsOf.set(labels[i]!, [i]);
  }
  const most = Math.max(...Array.from(rowsOf.values(), (rows) => rows.length));
  if (most < folds)
    throw new DataError(
      `stratifiedFolds: ${folds} folds, and no class has more than ${most} rows. Ask for fewer folds.`,
    );
  const result = new Int32Array(labels.length);
  let before = 0; // rows of the classes before, sorted by class: where the next class's first row is dealt
  for (const [nth, rows] of [...rowsOf.values()].entries()) {
    const counts = Array.from({ length: folds }, (_, fold) => dealt(before, before + rows.length, fold, folds));
    const places = counts.flatMap((count, fold) => Array<number>(count).fill(fold));
    const order = seed === undefined ? places.keys() : shuffledIndices(rows.length, seed, nth);
    for (const [i, place] of [...order].entries()) result[rows[i]!] = places[place]!;
    before += rows.length;
  }
  return result;
}

/** How many of the cards from `from` up to `to`, dealt in turn to `players`, `player` gets. */
const dealt = (from: number, to: number, player: number, players: number): number =>
  Math.ceil((to - player) / players) - Math.ceil((from - player) / players);

/**
 * The fold, from 0, that each of `count` rows is held out in: as scikit-learn's `KFold` has it, the first ones have a row more where they can't
 * all be equal. With a seed, rows are shuffled first.
 *
 * @see https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.KFold.html
 */
export function kFolds(count: number, folds: number, { seed }: { seed?: number } = {}): Int32Array {
  checkFolds("kFolds", count, folds);
  const result = new Int32Array(count);
  const order = seed === undefined ? result.keys() : shuffledIndices(count, seed);
  const [size, larger] = [Math.floor(count / folds), count % folds];
  for (const [place, row] of [...order].entries()) {
    const inLarger = larger * (size + 1);
    result[row] = place < inLarger ? Math.floor(place / (size + 1)) : larger + Math.floor((place - inLarger) / size);
  }
  return result;
}

function checkFolds(owner: string, rows: number, folds: number): void {
  if (!Number.isInteger(folds) || folds < 2)
    throw new DataError(`${owner}: ${folds} folds; it has to be a whole number of at least 2.`);
  if (rows < folds) throw new DataError(`${owner}: ${folds} folds of ${rows} rows. Ask for fewer folds.`);
}
