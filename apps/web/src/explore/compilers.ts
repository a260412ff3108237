import { addressOf, h } from "../dom.ts";

/** A table of Markdown, as its cells. */
export interface Table {
  head: string[];
  rows: string[][];
}

/** The tables of a page that say what compilers for GPUs make of kernels: those with a column of registers. */
export function compilerTables(markdown: string): Table[] {
  const lines = markdown.split("\n");
  const cells = (line: string): string[] =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", ""));
  return lines.flatMap((line, at): Table[] => {
    if (!line.startsWith("|") || !/registers, AMD/.test(line) || !/^\|[-: |]+\|$/.test(lines[at + 1] ?? "")) return [];
    const rows = lines.slice(at + 2);
    const end = rows.findIndex((row) => !row.startsWith("|"));
    return [{ head: cells(line), rows: rows.slice(0, end < 0 ? undefined : end).map(cells) }];
  });
}

/** These tables of a page, to be shown; nothing where there are none. */
export function compilersOf(markdown: string): HTMLElement[] {
  const tables = compilerTables(markdown);
  if (tables.length === 0) return [];
  return [
    h("h2", { className: "explore-heading" }, "What compilers make of it"),
    h("p", {}, "Stored from earlier measurements; AMD's and NVIDIA's compilers as ", h("a", { href: addressOf("xray.html") }, "pnpm xray"), " asks them."), // prettier-ignore
    ...tables.map(({ head, rows }) => {
      const cells = (row: string[]) => row.map((cell, i) => (i === 0 ? h("th", {}, cell) : h("td", {}, cell)));
      return h(
        "div",
        { className: "explore-table", tabIndex: 0, attrs: { role: "region", "aria-label": "Compilers" } },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, head.map((cell) => h("th", {}, cell)))), // prettier-ignore
          h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))), // prettier-ignore
        ),
      );
    }),
  ];
}
