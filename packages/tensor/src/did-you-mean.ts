import { closest, distance } from "fastest-levenshtein";

/** ` Did you mean x?`, for the known name that is like `given`; nothing if none is. */
export function didYouMean(given: string, known: readonly string[]): string {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, "");
  if (known.length === 0) return "";
  const nearest = closest(plain(given), known.map(plain));
  const likeEnough = distance(plain(given), nearest) <= Math.max(2, nearest.length / 3);
  return likeEnough ? ` Did you mean ${known.find((name) => plain(name) === nearest)}?` : "";
}
