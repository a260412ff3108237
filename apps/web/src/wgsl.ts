import { createHighlighterCore, type HighlighterCore } from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";
import { h } from "./dom.ts";
import "./wgsl.css";

let highlighter: Promise<HighlighterCore> | undefined;

const open = (): Promise<HighlighterCore> =>
  (highlighter ??= createHighlighterCore({
    langs: [import("shiki/langs/wgsl.mjs")],
    themes: [
      import("shiki/themes/github-light-high-contrast.mjs"),
      import("shiki/themes/github-dark-high-contrast.mjs"),
    ],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  }));

const shown = new WeakMap<HTMLElement, string>();

/** Shows WGSL, a line an element: plain at once, and in colour when the highlighter is there. `onLines` gets the lines each time. */
export function showWgsl(place: HTMLElement, code: string, onLines: (lines: HTMLElement[]) => void = () => {}): void {
  const put = (lines: HTMLElement[]): void => {
    place.replaceChildren(...lines);
    onLines(lines);
  };
  shown.set(place, code);
  put(code.split("\n").map((text) => h("span", { className: "wgsl-line" }, text)));
  void coloured(code).then((lines) => {
    if (shown.get(place) === code) put(lines);
  });
}

/** The lines as on other pages of the site. */
async function coloured(code: string): Promise<HTMLElement[]> {
  const { codeToTokensWithThemes } = await open();
  const themes = { light: "github-light-high-contrast", dark: "github-dark-high-contrast" };
  return codeToTokensWithThemes(code, { lang: "wgsl", themes }).map((tokens) =>
    h(
      "span",
      { className: "wgsl-line" },
      tokens.map(({ content, variants: { light, dark } }) =>
        h("span", { attrs: { style: `--light:${light?.color};--dark:${dark?.color}` } }, content),
      ),
    ),
  );
}
