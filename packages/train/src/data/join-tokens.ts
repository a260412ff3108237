import { partOf } from "../parallel/communicator.ts";
import type { Ranks } from "../parallel/ranks.ts";
import type { BatchTokenizer } from "./batch.ts";
import type { Dataset } from "./dataset.ts";
import { tokenizeDataset, type TokenizedDataset, type TokenizeOptions } from "./tokenize-dataset.ts";
import { packTokens, unpackTokens } from "./tokens.ts";

/** The tokens of a dataset: each rank makes those of its part of the rows, and finds the others' where they keep them, or makes them too. */
export async function tokenizeByRanks(
  dataset: Dataset,
  tokenizer: BatchTokenizer,
  ranks: Ranks,
  options: TokenizeOptions,
): Promise<TokenizedDataset> {
  if (ranks.size === 1) return tokenizeDataset(dataset, tokenizer, options);
  const parts = Array.from({ length: ranks.size }, (_, part) => {
    const [begin, end] = partOf(dataset.length, part, ranks.size);
    return dataset.select(Int32Array.from({ length: end - begin }, (_, i) => begin + i));
  });
  const own = await tokenizeDataset(parts[ranks.rank]!, tokenizer, options);
  await ranks.allGather("tokenizing", null);
  const all = parts.map(async (part, i) => (i === ranks.rank ? own : tokenizeDataset(part, tokenizer, options)));
  return joinTokens(await Promise.all(all));
}

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
  const placeOf = (row: number): number => starts.findIndex((start, i) => row < start + parts[i]!.length);
  const caches = parts.flatMap(({ cache }) => cache ?? []);
  const cache = { path: caches.map(({ path }) => path).join(", "), hit: caches.every(({ hit }) => hit) };
  return {
    ...{ length, lengths, labels, maxLength: parts[0]!.maxLength },
    cache: caches.length === parts.length ? cache : undefined,
    note: parts.find(({ note }) => note !== undefined)?.note,
    async read(rows) {
      const places = rows.map(placeOf);
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
