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
