import { check } from "@gpugrad/tensor";

/** Longer patterns are refused: matching takes time in proportion to the pattern's length times the path's. */
const maxPatternLength = 1024;

/**
 * Whether a path with `/` between folders matches a pattern: `*` matches anything within a folder, `**` for anything
 * across folders, `**` + `/` for any number of whole folders, `?` for one character; all else for itself. All ways to
 * match are followed at once, one character after the other, so that no pattern takes exponential time.
 *
 * @throws {@link GpugradError} when the pattern has more than 1024 characters.
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  check(
    pattern.length <= maxPatternLength,
    () =>
      `glob: a pattern has ${pattern.length} characters, at most ${maxPatternLength} are allowed: ${pattern.slice(0, 40)}…`,
  );
  const tokens = pattern.match(/\*{2,}\/?|[^]/gu) ?? [];
  const isStar = tokens.map((token) => token.startsWith("*"));
  const isFolders = tokens.map((token) => token.endsWith("*/"));

  /** Also reaches what follows a star that matches nothing; one of whole folders ends where a folder begins. */
  const passStars = (reached: Uint8Array, last: string): void => {
    for (const [i, star] of isStar.entries())
      if (reached[i] && star && (!isFolders[i] || last === "/")) reached[i + 1] = 1;
  };

  return (path) => {
    let reached = new Uint8Array(tokens.length + 1); // reached[i]: tokens 0 to i - 1 match what has been read
    reached[0] = 1;
    passStars(reached, "/");
    for (const character of path) {
      const next = new Uint8Array(tokens.length + 1);
      for (const [i, token] of tokens.entries()) {
        if (!reached[i]) continue;
        if (isStar[i]) next[i] = character !== "/" || token !== "*" ? 1 : 0;
        else if (token === character || (token === "?" && character !== "/")) next[i + 1] = 1;
      }
      passStars(next, character);
      reached = next;
    }
    return reached[tokens.length] === 1;
  };
}
