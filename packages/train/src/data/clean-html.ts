const ENTITIES: Record<string, string> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " ", hellip: "…", mdash: "—", ndash: "–" },
  ...{ lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", eacute: "é", egrave: "è", uuml: "ü", ouml: "ö", auml: "ä" },
};

/**
 * Text without HTML: a tag such as `<br />` becomes a space, an entity such as `&amp;` or `&#39;` its character, and runs
 * of white space one space. A lone `<`, as in "3 < 4" or "<3", stays.
 */
export function cleanHtml(text: string): string {
  return text
    .replace(/<!--.*?-->|<\/?[a-z][^<>]*>/gis, " ")
    .replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi, (entity, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? entity;
      const code = decimal === undefined ? parseInt(hex!, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : entity;
    })
    .replace(/\s+/g, " ")
    .trim();
}
