/** A piece of a page. Only what is put into one by {@link markup} or {@link trusted} can be one, so that no text gets there unescaped. */
export class Html {
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  /** As a page has it. */
  toString(): string {
    return this.#source;
  }
}

/** What a template takes: texts are escaped, lists are joined; nothing comes of undefined and false. */
export type Piece = Html | string | number | undefined | false | readonly Piece[];

/**
 * HTML, or SVG, with values in it: `` markup`<p title="${title}">${text}</p>` ``. What is put in is text, in an element or between the quotes of an
 * attribute, unless it is HTML itself.
 */
export const markup = (parts: TemplateStringsArray, ...values: readonly Piece[]): Html =>
  new Html(parts.reduce((all, part, i) => all + sourceOf(values[i - 1]) + part));

/** Source that isn't made of others' texts, or has escaped them. */
export const trusted = (source: string): Html => new Html(source);

/** Pieces one below the other; nothing comes of empty ones. */
export const lines = (pieces: readonly Html[]): Html =>
  new Html(
    pieces
      .map(String)
      .filter((source) => source !== "")
      .join("\n"),
  );

const sourceOf = (value: Piece): string => {
  if (value === undefined || value === false) return "";
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return (value as readonly Piece[]).map(sourceOf).join("");
  return String(value).replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`);
};
