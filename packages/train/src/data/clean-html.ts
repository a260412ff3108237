const ENTITIES = new Map(
  Object.entries({
    ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " ", hellip: "…", mdash: "—", ndash: "–" },
    ...{ lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", eacute: "é", egrave: "è", uuml: "ü", ouml: "ö", auml: "ä" },
  }),
);

/**
 * Text without HTML: a tag such as `<br />` becomes a space, an entity such as `&amp;` or `&#39;` its character, and runs
 * of white space one space. A lone `<`, as in "3 < 4" or "<3", stays. Takes time in proportion to the text's length.
 */
export function cleanHtml(text: string): string {
  // Behind the last end of a comment none ends: looking for an end from each beginning there would take quadratic time.
  const closed = text.lastIndexOf("-->") + 3;
  const [head, tail] = closed < 3 ? ["", text] : [text.slice(0, closed), text.slice(closed)];
  return (head.replace(/<!--.*?-->|<\/?[a-z][^<>]*>/gis, " ") + tail.replace(/<\/?[a-z][^<>]*>/gi, " "))
    .replace(
      /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{1,32}));/gi,
      (entity, decimal?: string, hex?: string, name?: string) => {
        if (name !== undefined) return ENTITIES.get(name) ?? entity;
        const code = decimal === undefined ? parseInt(hex!, 16) : Number(decimal);
        return isCharacter(code) ? String.fromCodePoint(code) : entity;
      },
    )
    .replace(/\s+/g, " ")
    .trim();
}

/** Whether a code point is a character: not 0, and not one half of a surrogate pair. */
const isCharacter = (code: number): boolean => code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
