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

/** The lines of WGSL, coloured as on other pages of the site: an element for each. */
export async function wgslLines(code: string): Promise<HTMLElement[]> {
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
