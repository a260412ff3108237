/** ` Did you mean x?`, for the known name that is like `given`; nothing if none is. */
export function didYouMean(given: string, known: readonly string[]): string {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, "");
  const distances = known.map((name) => distance(plain(given), plain(name)));
  const nearest = known[distances.indexOf(Math.min(...distances))];
  if (nearest === undefined) return "";
  return Math.min(...distances) <= Math.max(2, plain(nearest).length / 3) ? ` Did you mean ${nearest}?` : "";
}

/** How many characters have to be inserted, deleted or replaced to make `b` of `a`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + Number(a[i] !== b[j])));
    row = next;
  }
  return row[b.length]!;
}
