import { DataError } from "../../errors.ts";
import { shownText } from "../shown.ts";
import { memoryTable, readSource, type Cells, type OpenSource, type ReadLimits, type Table } from "./table.ts";

/** What CoNLL's files have between documents. */
const DOCUMENT = "-DOCSTART-";

/**
 * Sentences as CoNLL's shared tasks write them: a token per line with its tag in the last of two to four columns (or more), separated by spaces or
 * tabs; an empty line ends a sentence. A sentence whose lines differ in their number of columns is bad.
 *
 * @see https://www.clips.uantwerpen.be/conll2003/ner/
 */
export async function conllTable(name: string, open: OpenSource, limits?: ReadLimits): Promise<Table> {
  const text = await readSource(open, name, limits);
  const rows: (Cells | DataError)[] = [];
  const lines: number[] = [];
  let [tokens, tags, start]: [string[], string[], number] = [[], [], 0];
  let problem: DataError | undefined;
  const endSentence = (): void => {
    if (tokens.length > 0 || problem) {
      rows.push(problem ?? { tokens, tags });
      lines.push(start);
    }
    [tokens, tags, problem] = [[], [], undefined];
  };
  let width: number | undefined;
  for (const [i, line] of text.split("\n").entries()) {
    const columns = line.trim().split(/[ \t]+/);
    if (columns[0] === "" || columns[0] === DOCUMENT) {
      endSentence();
      continue;
    }
    if (tokens.length === 0 && !problem) start = i + 1;
    width ??= columns.length;
    if (columns.length < 2 || columns.length !== width)
      problem ??= new DataError(
        `${name}, line ${i + 1}: ${columns.length} column${columns.length === 1 ? "" : "s"}, where the first line has ${width}: ${shownText(line)}. ` +
          "A line is a token and its tag, with other columns between them.",
      );
    tokens.push(columns[0]!);
    tags.push(columns.at(-1)!);
  }
  endSentence();
  return { ...memoryTable(name, rows, ["tokens", "tags"]), where: (i) => `${name}, line ${lines[i]}` };
}
