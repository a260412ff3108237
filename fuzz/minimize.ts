/**
 * Removes what a failure does not need: halves, quarters and so on down to single bytes, for as long as `fails` (delta debugging).
 * @see https://doi.org/10.1109/32.988498 (Zeller, Hildebrandt 2002)
 */
export async function minimize(
  input: Uint8Array,
  fails: (smaller: Uint8Array) => Promise<boolean>,
  attempts = 400,
): Promise<Uint8Array> {
  let smallest = input;
  for (let size = Math.ceil(input.length / 2); size >= 1 && attempts > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && attempts > 0;) {
      attempts--;
      const end = Math.min(at + size, smallest.length);
      const candidate = new Uint8Array(smallest.length - (end - at));
      candidate.set(smallest.subarray(0, at));
      candidate.set(smallest.subarray(end), at);
      if (await fails(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}
