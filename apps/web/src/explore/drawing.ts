import { h } from "../dom.ts";

/** A part of a drawing, and the words of comments that are about it: attributes of a group in the file. */
export interface Part {
  name: string;
  words: string[];
}

/** How a word or phrase is found where it is not part of a longer one. */
export const wordsOf = (parts: readonly Part[]): RegExp => {
  const words = parts.flatMap(({ words }) => words).sort((a, b) => b.length - a.length);
  return new RegExp(
    `(?<!\\w)(?:${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})(?!\\w)`,
    "g",
  );
};

/** The words of a line's comment that are about a part: where they begin and end. */
export function* termsOf(line: string, parts: readonly Part[]): Iterable<{ start: number; end: number; part: Part }> {
  const comment = line.indexOf("//");
  if (comment < 0 || parts.length === 0) return;
  for (const { 0: word, index } of line.matchAll(wordsOf(parts)))
    if (index >= comment) yield { start: index, end: index + word.length, part: parts.find(({ words }) => words.includes(word))! }; // prettier-ignore
}

/**
 * A drawing of the docs whose parts can be pointed at, by a click or by buttons. It lies in a shadow tree, for its style is meant for itself.
 * @param onPart called with the part that is pointed at; undefined for none
 */
export function drawing(caption: HTMLElement, onPart: (part: Part | undefined) => void) {
  const place = h("div", { tabIndex: 0, attrs: { role: "region", "aria-label": "The drawing" } });
  const shadow = place.attachShadow({ mode: "open" });
  const buttons = h("div", { className: "bar" });
  const element = h("figure", { className: "explore-drawing", hidden: true }, caption, place, buttons);
  let parts: Part[] = [];
  let shown = "";
  let pointed: Part | undefined;

  function draw(): void {
    const dark = document.documentElement.classList.contains("dark");
    shadow.innerHTML = `<style>
      svg { display: block; width: 100%; min-width: 600px; max-width: 800px; height: auto; }
      g[data-part] { cursor: pointer; }
      svg.pointed g[data-part]:not(.on) { opacity: 0.25; }
    </style>${shown.replace("(prefers-color-scheme: dark)", dark ? "all" : "not all")}`;
    for (const group of groups())
      group.addEventListener("click", () => take(parts.find(({ name }) => name === group.dataset["part"])));
    mark();
  }
  const groups = (): SVGGElement[] => [...shadow.querySelectorAll<SVGGElement>("g[data-part]")];

  function mark(): void {
    shadow.querySelector("svg")?.classList.toggle("pointed", pointed !== undefined);
    for (const group of groups()) group.classList.toggle("on", group.dataset["part"] === pointed?.name);
    [...buttons.children].forEach((button, i) => button.setAttribute("aria-pressed", `${parts[i] === pointed}`));
  }

  function take(part: Part | undefined): void {
    pointed = part === pointed ? undefined : part;
    mark();
    onPart(pointed);
  }

  const theme = new MutationObserver(draw);
  theme.observe(document.documentElement, { attributeFilter: ["class"] });
  return {
    element,
    get parts(): readonly Part[] {
      return parts;
    },
    /** Takes the text of a file, or nothing. */
    show(code: string): void {
      [shown, pointed] = [code, undefined];
      element.hidden = !code;
      draw();
      parts = groups().map(({ dataset }) => ({ name: dataset["part"]!, words: dataset["words"]!.split("|") }));
      buttons.replaceChildren(
        ...parts.map((part) => h("button", { type: "button", onclick: () => take(part), attrs: { "aria-pressed": "false" } }, part.name)), // prettier-ignore
      );
    },
    /** Points at a part, without calling `onPart`. */
    point(part: Part | undefined): void {
      pointed = part;
      mark();
    },
    close: () => theme.disconnect(),
  };
}
