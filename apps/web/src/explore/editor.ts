import { h } from "../dom.ts";
import { wgslLines } from "../wgsl.ts";
import type { CompileError } from "./protocol.ts";

/** WGSL to edit, in colour: a text area whose text is transparent, over the coloured lines. */
export function editor(onInput: () => void) {
  const coloured = h("pre", { className: "editor-lines", attrs: { "aria-hidden": "true" } });
  const area = h("textarea", {
    className: "editor-area",
    spellcheck: false,
    oninput: () => {
      draw();
      onInput();
    },
    attrs: { "aria-label": "WGSL source", autocapitalize: "off", wrap: "off" },
  });
  const scroller = h("div", { className: "wgsl editor", tabIndex: -1 }, h("div", { className: "editor-inside" }, coloured, area)); // prettier-ignore
  let lines: HTMLElement[] = [];
  let marks: { errors: CompileError[]; at?: number | undefined } = { errors: [] };

  function draw(): void {
    const code = area.value;
    lines = code.split("\n").map((text) => h("span", { className: "wgsl-line" }, text));
    coloured.replaceChildren(...lines);
    area.style.height = `${lines.length * 1.6}em`;
    mark();
    void wgslLines(code).then((better) => {
      if (area.value !== code) return;
      lines = better;
      coloured.replaceChildren(...lines);
      mark();
    });
  }

  function mark(): void {
    const wrong = new Map(marks.errors.map(({ line, text }) => [line - 1, text]));
    lines.forEach((line, i) => {
      line.classList.toggle("error", wrong.has(i));
      line.classList.toggle("now", i === marks.at);
    });
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
    /** Brings a line, counted from 0, into view within the editor, and marks it. */
    showLine(at: number): void {
      marks.at = at;
      mark();
      const line = lines[at];
      if (line) scroller.scrollTop = Math.max(0, line.offsetTop - scroller.clientHeight / 3);
    },
  };
}
