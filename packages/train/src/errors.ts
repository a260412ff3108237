/** An error about data, labels or options of training: says what failed, the values, and a way out. */
export class DataError extends Error {
  override name = "DataError";
}
