/** Characters of a value, and items of a list, that a message shows. */
const [CHARACTERS, ITEMS] = [80, 8];

/**
 * A value of a file as a message shows it: on one line, short however large it is, and without characters that a terminal obeys. Lists and objects
 * are only named: they may be nested without end.
 */
export function shownValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(shownText(value));
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Date) return "a date";
  return value === undefined ? "nothing" : value === null ? "null" : "an object";
}

/** A text, cut and without control characters. */
export function shownText(text: string): string {
  const cut = text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " "); // eslint-disable-line no-control-regex
}

/** A list as a message shows it: `a, b, c, … (97 more)`. */
export function shownList(items: readonly string[]): string {
  const shown = items.slice(0, ITEMS).map(shownText).join(", ");
  return items.length > ITEMS ? `${shown}, … (${items.length - ITEMS} more)` : shown;
}
