import { didYouMean } from "../did-you-mean.ts";
import { check } from "../errors.ts";

/** The rungs of all ladders, by the names that leave them out (`matmul/tiled`), and whether that is possible: `ladder()` fills it in. */
export const rungNames = new Map<string, { lastResort: boolean }>();

/**
 * The rungs that `given` leaves out, each as `-matmul/tiled`, with spaces or commas between: what `GPUGRAD_KERNELS` holds.
 * @throws for a rung that isn't there, and for one that has to stay, since it computes what no other rung can
 */
export function parseLeftOut(owner: string, given: string): string[] {
  const words = given.split(/[\s,]+/).filter((word) => word !== "");
  return words.map((word) => {
    check(word.startsWith("-"), () => `${owner}: ${word} has no minus before it. To leave a kernel out: -${word}.`);
    return checkedName(owner, word.slice(1));
  });
}

/** @throws unless a rung by this name can be left out */
export function checkedName(owner: string, name: string): string {
  const rung = rungNames.get(name);
  const known = [...rungNames.keys()];
  check(rung, () => `${owner}: there is no kernel ${name}; there are ${known.join(", ")}.${didYouMean(name, known)}`);
  check(
    !rung.lastResort,
    () => `${owner}: ${name} can't be left out: it computes what no other kernel of its ladder can.`,
  );
  return name;
}
