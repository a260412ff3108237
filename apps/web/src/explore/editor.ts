import { h } from "../dom.ts";
import { showWgsl } from "../wgsl.ts";
import { termsOf, type Part } from "./drawing.ts";
import type { CompileError } from "./protocol.ts";

/**
 * WGSL to edit, in colour: a text area whose text is transparent, over the coloured lines. Words that are parts of a drawing are underlined.
 * @param onCaret called with the line, counted from 0, and the column where the caret is put
 */
export function editor(onInput: () => void, onCaret: (line: number, column: number) => void) {
  const coloured = h("pre", { className: "editor-lines", attrs: { "aria-hidden": "true" } });
  const area = h("textarea", {
    className: "editor-area",
    spellcheck: false,
    oninput: () => {
      draw();
      onInput();
    },
    onclick: () => atCaret(),
    onkeyup: ({ key }) => key.startsWith("Arrow") && atCaret(),
    attrs: { "aria-label": "WGSL source", autocapitalize: "off", wrap: "off" },
  });
  const scroller = h("div", { className: "wgsl editor", tabIndex: -1 }, h("div", { className: "editor-inside" }, coloured, area)); // prettier-ignore
  let lines: HTMLElement[] = [];
  let parts: readonly Part[] = [];
  let pointed: Part | undefined;
  let marks: { errors: CompileError[]; at?: number | undefined } = { errors: [] };

  function draw(): void {
    area.style.height = `${area.value.split("\n").length * 1.6}em`;
    showWgsl(coloured, area.value, (shown) => {
      lines = shown;
      mark();
    });
  }

  function mark(): void {
    const wrong = new Map(marks.errors.map(({ line, text }) => [line - 1, text]));
    lines.forEach((line, i) => {
      line.classList.toggle("error", wrong.has(i));
      line.classList.toggle("now", i === marks.at);
    });
    underline();
  }

  function atCaret(): void {
    const before = area.value.slice(0, area.selectionStart).split("\n");
    onCaret(before.length - 1, before.at(-1)!.length);
  }

  /** Words that are about a part of the drawing, by ranges over the coloured lines: these stay as they are. */
  function underline(): void {
    if (!("highlights" in CSS)) return;
    const [terms, now] = [new Highlight(), new Highlight()];
    for (const line of lines) {
      for (const { start, end, part } of termsOf(line.textContent, parts))
        (part === pointed ? now : terms).add(rangeOf(line, start, end));
    }
    CSS.highlights.set("explore-terms", terms);
    CSS.highlights.set("explore-term-now", now);
  }

  return {
    element: scroller,
    get value(): string {
      return area.value;
    },
    set value(code: string) {
      area.value = code;
      marks = { errors: [] };
      draw();
    },
    /** Errors at their lines. */
    showErrors(errors: CompileError[]): void {
      marks = { errors };
      mark();
      if (errors[0]?.line) this.showLine(errors[0].line - 1);
    },
    /** Underlines what is about parts of a drawing, and marks one of them. */
    showParts(of: readonly Part[], now?: Part): void {
      [parts, pointed] = [of, now];
      underline();
    },
    /** Brings a line, counted from 0, into view within the editor, and marks it. */
    showLine(at: number): void {
      marks.at = at;
      mark();
      const line = lines[at];
      if (line) scroller.scrollTop = Math.max(0, line.offsetTop - scroller.clientHeight / 3);
    },
  };
}

/** From one character of an element's text to another. */
function rangeOf(element: HTMLElement, start: number, end: number): Range {
  const range = new Range();
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let at = 0;
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const length = text.textContent!.length;
    if (start >= at && start < at + length) range.setStart(text, start - at);
    if (end > at && end <= at + length) range.setEnd(text, end - at);
    at += length;
  }
  return range;
}
