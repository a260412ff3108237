import { packTokens, unpackTokens } from "./tokens.ts";
import type { TokenizedDataset } from "./tokenize-dataset.ts";

/** The tokens of the parts of a dataset as those of the whole: row numbers continue from part to part. */
export function joinTokens(parts: readonly TokenizedDataset[]): TokenizedDataset {
  const starts: number[] = [];
  let length = 0;
  for (const part of parts) {
    starts.push(length);
    length += part.length;
  }
  const lengths = new Int32Array(length);
  const labels = parts.every((part) => part.labels) ? new Float64Array(length) : undefined;
  parts.forEach((part, i) => {
    lengths.set(part.lengths, starts[i]);
    labels?.set(part.labels!, starts[i]);
  });
  const partOf = (row: number): number => starts.findIndex((start, i) => row < start + parts[i]!.length);
  return {
    ...{ length, lengths, labels, maxLength: parts[0]!.maxLength, cache: undefined },
    note: parts.find(({ note }) => note !== undefined)?.note,
    async read(rows) {
      const places = rows.map(partOf);
      const read = await Promise.all(
        parts.map(async (part, i) => {
          const own = rows.filter((_, k) => places[k] === i).map((row) => row - starts[i]!);
          return unpackTokens(await part.read(own))[Symbol.iterator]();
        }),
      );
      return packTokens(places.map((place) => read[place]!.next().value!));
    },
    close: async () => void (await Promise.all(parts.map((part) => part.close()))),
  };
}
