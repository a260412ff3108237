import { didYouMean } from "@gpugrad/tensor";
import { INSTEAD, OTHER_NAMES } from "./option-names.ts";

export { didYouMean };

const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, "");

/** What may be meant by a name, in the order of the table. */
const MEANT = new Map<string, string[]>();
for (const [option, names] of Object.entries(OTHER_NAMES))
  for (const name of names) MEANT.set(plain(name), [...(MEANT.get(plain(name)) ?? []), plain(option)]);

const ADVICE = new Map(INSTEAD.flatMap(([names, advice]) => names.map((name) => [plain(name), advice] as const)));

/**
 * ` Did you mean x?`, for the option that other programs call `given`, or that is like it; for an option of training that isn't needed here,
 * what to do instead; nothing if there is neither.
 */
export function optionHint(given: string, known: readonly string[]): string {
  const meant = MEANT.get(plain(given))?.map((name) => known.find((option) => plain(option) === name));
  const option = meant?.find((name) => name !== undefined);
  if (option !== undefined) return ` Did you mean ${option}?`;
  const trains = known.some((name) => plain(name) === "learningrate");
  const advice = trains ? ADVICE.get(plain(given)) : undefined;
  return advice === undefined ? didYouMean(given, known) : ` ${advice}`;
}
