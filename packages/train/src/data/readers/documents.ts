import { memoryTable, readSource, type OpenSource, type ReadLimits, type Table } from "./table.ts";

/**
 * Documents as BERT's pre-training reads them: a sentence per line, an empty line between documents.
 *
 * @see https://github.com/google-research/bert#pre-training-with-bert
 */
export async function documentTable(name: string, open: OpenSource, limits?: ReadLimits): Promise<Table> {
  const text = await readSource(open, name, limits);
  const rows: { sentences: string[] }[] = [];
  const lines: number[] = [];
  let isWithin = false;
  for (const [i, line] of text.split("\n").entries()) {
    const sentence = line.trim();
    if (sentence !== "" && isWithin) rows.at(-1)!.sentences.push(sentence);
    else if (sentence !== "") {
      rows.push({ sentences: [sentence] });
      lines.push(i + 1);
    }
    isWithin = sentence !== "";
  }
  return { ...memoryTable(name, rows, ["sentences"]), where: (i) => `${name}, line ${lines[i]}` };
}
