const [QUOTE, BACKSLASH, COLON, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [34, 92, 58, 123, 125, 91, 93];

/** A key that one of the objects of a JSON text (one that parses) has twice; JSON.parse would keep the last value without a word. */
export function duplicateKey(json: string): string | undefined {
  const keys: (Set<string> | undefined)[] = []; // of the objects around a place; undefined for a list
  let [start, end] = [0, 0]; // of the last string, with its quotes
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      start = at;
      at = endOfString(json, at);
      end = at + 1;
    } else if (code === OPEN) keys.push(new Set());
    else if (code === OPEN_LIST) keys.push(undefined);
    else if (code === CLOSE || code === CLOSE_LIST) keys.pop();
    else if (code === COLON) {
      const own = keys.at(-1)!;
      const written = json.slice(start, end);
      const key = written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1); // \u0061 is a
      if (own.has(key)) return key;
      own.add(key);
    }
  }
  return undefined;
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(json: string, start: number): number {
  for (let at = start + 1; ; at++) {
    at = json.indexOf('"', at);
    let backslashes = 0;
    while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}
