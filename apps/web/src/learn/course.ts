import { h } from "../dom.ts";
import { solved } from "./progress.ts";
import { course } from "./puzzles.ts";

/** The pages of the course in their order, and which of them are done. */
export function mount(root: HTMLElement): () => void {
  const done = solved();
  root.replaceChildren(
    h(
      "ol",
      { className: "course" },
      course.map(({ page, title }) =>
        h(
          "li",
          { className: done.has(page) ? "done" : "" },
          h("a", { href: `${page}.html` }, title),
          done.has(page) && h("span", {}, " solved"),
        ),
      ),
    ),
  );
  return () => {};
}
