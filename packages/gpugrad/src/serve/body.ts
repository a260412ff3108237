import { RequestError } from "./request.ts";

/** Levels of objects and lists in a body; a request needs four. */
const MAX_DEPTH = 16;

const [QUOTE, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = Array.from('",[]{}', (sign) =>
  sign.charCodeAt(0),
);

/**
 * Looks at a body of JSON before it is parsed: how deep it nests, and how many values it holds. Parsing takes time and memory by the
 * value, and a body of a million brackets is no larger than one of long texts.
 *
 * @throws {@link RequestError} when there is too much of either
 */
export function checkBody(json: string, maxValues: number): void {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < json.length; at++) {
    const sign = json.charCodeAt(at);
    if (sign === QUOTE) at = endOfString(json, at);
    else if (sign === COMMA) values++;
    else if (sign === OPEN_LIST || sign === OPEN_OBJECT) {
      values++;
      depth++;
    } else if (sign === CLOSE_LIST || sign === CLOSE_OBJECT) depth--;
    if (depth > MAX_DEPTH)
      throw new RequestError(400, "request", `the body is nested more than ${MAX_DEPTH} levels deep.`);
    if (values > maxValues)
      throw new RequestError(
        413,
        "too_many_inputs",
        `the body holds more than ${maxValues} values. Send more requests.`,
      );
  }
}

/** Where the string that begins at `start` ends: its closing quote, or the end of the body. */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let first = end; // of the backslashes before the quote: an even number of them are characters themselves
    while (json[first - 1] === "\\") first--;
    if ((end - first) % 2 === 0) return end;
  }
  return json.length;
}
