import { byteSource, type ByteSource } from "@gpugrad/bert";
import { saveTokenizer, startWorkers, tokenCache } from "#files";
import { encodeRows, type BatchTokenizer } from "./batch.ts";
import type { Dataset, Row } from "./dataset.ts";
import { packTokens, type TokenChunk } from "./tokens.ts";

export type TokenizeOptions = {
  /** Tokens per row at most; longer ones are truncated. Default: the model's limit, at most 512. */
  maxLength?: number;
  /**
   * The folder in which tokens are kept for the next run. Default `$GPUGRAD_TOKEN_CACHE`, then `$GPUGRAD_CACHE/tokens`, then `~/.cache/gpugrad/tokens`
   * (below XDG_CACHE_HOME, where that is set). `false`: in memory, as in a browser.
   */
  cacheDir?: string | false;
  /** Threads beside this one that tokenize (default 0: this one does). */
  numWorkers?: number;
  /** Called after every few hundred rows that were tokenized. */
  onProgress?: (rows: number, total: number) => void;
};

/** A dataset as tokens, which are read from disk row by row; its memory is 24 bytes for a row. */
export interface TokenizedDataset {
  readonly length: number;
  readonly maxLength: number;
  /** Tokens of each row, special ones included. */
  readonly lengths: Int32Array;
  /** Labels of the rows; undefined where not all of them have one. */
  readonly labels: Float64Array | undefined;
  /** Where the tokens are, and whether an earlier run left them there. */
  readonly cache: { path: string; hit: boolean } | undefined;
  /** Why tokens are in memory though they were to be on disk, or were made without the threads that were asked for. */
  readonly note: string | undefined;
  /** The tokens of some rows. */
  read(rows: readonly number[]): Promise<TokenChunk>;
  /** Closes the file. */
  close(): Promise<void>;
}

/** Rows that are tokenized together. */
const CHUNK = 256;

/**
 * Tokenizes a dataset before training: in one pass from its first row to its last, so that data that is larger than memory is
 * read as it lies; batches then take their rows from any place. Lengths are known, as grouping by length needs it. The tokens are kept on disk
 * under a key that covers every text, the tokenizer and `maxLength`; a file that is damaged is made again.
 *
 * @example
 * const tokenized = await tokenizeDataset(train, tokenizer, { maxLength: 256, numWorkers: 2 });
 * const loader = new DataLoader(train, tokenizer, { tokenized, shuffle: true, groupByLength: true, maxLength: 256 });
 */
export async function tokenizeDataset(
  dataset: Dataset,
  tokenizer: BatchTokenizer,
  options: TokenizeOptions = {},
): Promise<TokenizedDataset> {
  const { cacheDir, numWorkers = 0 } = options;
  const maxLength = options.maxLength ?? Math.min(tokenizer.modelMaxLength, 512);
  const labels = new Float64Array(dataset.length).fill(NaN);
  const done = (source: ByteSource, place: Pick<TokenizedDataset, "cache" | "note">) =>
    openTokens(source, { ...place, maxLength, labels: labels.some(Number.isNaN) ? undefined : labels });
  const saved = await saveTokenizer(tokenizer);
  try {
    const cache = saved && cacheDir !== false ? tokenCache(cacheDir) : undefined;
    let key = "";
    if (saved && cache) {
      // The tokens of one text identify the tokenizer's version: when tokenizing changes, so does the key.
      saved.hash.update(
        JSON.stringify([FORMAT, maxLength, Array.from(encodeRows(tokenizer, [PROBE], 512)[0]!.input_ids)]),
      );
      for await (const { rows } of chunksOf(dataset, labels)) {
        for (const { text, text_pair } of rows) saved.hash.update(JSON.stringify([text, text_pair]));
      }
      key = saved.hash.digest("hex");
      const found = await cache.find(key);
      if (found) return await done(found, { cache: { path: found.name, hit: true }, note: undefined });
    }

    const notes: string[] = [];
    const starting = saved && numWorkers > 0 ? startWorkers(saved.folder, numWorkers) : undefined;
    const started = (await starting) ?? (numWorkers > 0 ? "the tokenizer can't be saved" : undefined);
    const workers = typeof started === "string" ? undefined : started;
    if (typeof started === "string") notes.push(`texts are tokenized without other threads: ${started}`);
    const encodeChunk = workers
      ? (rows: readonly Row[]) => workers.encode(rows, maxLength)
      : (rows: readonly Row[]) => Promise.resolve(packTokens(encodeRows(tokenizer, rows, maxLength)));
    const write = () => tokenFile(encodedChunks(dataset, labels, encodeChunk, workers ? 2 * numWorkers : 1, options));
    const note = () => (notes.length > 0 ? notes.join("; ") : undefined);
    try {
      if (cache) {
        const written = await cache.write(key, write());
        if (typeof written !== "string") {
          return await done(written, { cache: { path: written.name, hit: false }, note: note() });
        }
        notes.push(`tokens are kept in memory: ${written}`);
      }
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      for await (const piece of write()) pieces.push(piece);
      return await done(byteSource(new Blob(pieces), "tokens"), { cache: undefined, note: note() });
    } finally {
      await workers?.close();
    }
  } finally {
    await saved?.remove();
  }
}

const FORMAT = "gpugrad tokens 2";
const PROBE: Row = { text: "Ünïcode ΟΔΟΣ 豈 don't e\u0301 [MASK] 😀unaffable\u00ad\t3.14", text_pair: "#hashtag" };

/** The rows of a dataset, some at a time; notes their labels. */
async function* chunksOf(dataset: Dataset, labels: Float64Array): AsyncGenerator<{ start: number; rows: Row[] }> {
  for (let start = 0; start < dataset.length; start += CHUNK) {
    const count = Math.min(CHUNK, dataset.length - start);
    const rows = await Promise.all(Array.from({ length: count }, (_, k) => dataset.row(start + k)));
    rows.forEach((row, k) => (labels[start + k] = row.label ?? NaN));
    yield { start, rows };
  }
}

/** All rows as tokens, in their order, with up to `inFlight` chunks under way. */
async function* encodedChunks(
  dataset: Dataset,
  labels: Float64Array,
  encode: (rows: readonly Row[]) => Promise<TokenChunk>,
  inFlight: number,
  { onProgress }: TokenizeOptions,
): AsyncGenerator<TokenChunk> {
  const pending: Promise<TokenChunk>[] = [];
  let done = 0;
  const next = async () => {
    const chunk = await pending.shift()!;
    onProgress?.((done += chunk.lengths.length), dataset.length);
    return chunk;
  };
  for await (const { rows } of chunksOf(dataset, labels)) {
    const chunk = encode(rows);
    chunk.catch(() => {}); // it is thrown where the chunk is awaited
    pending.push(chunk);
    if (pending.length >= inFlight) yield await next();
  }
  while (pending.length > 0) yield await next();
}

/** The file of a dataset's tokens: all ids, then the lengths of the rows, then where their second texts begin, then the numbers of rows and ids. */
async function* tokenFile(chunks: AsyncIterable<TokenChunk>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const lengths: Int32Array[] = [];
  const firsts: Int32Array[] = [];
  let [rows, tokens] = [0, 0];
  for await (const chunk of chunks) {
    lengths.push(chunk.lengths);
    firsts.push(chunk.firsts);
    rows += chunk.lengths.length;
    tokens += chunk.ids.length;
    yield bytesOf(chunk.ids);
  }
  for (const piece of [...lengths, ...firsts]) yield bytesOf(piece);
  yield bytesOf(Float64Array.of(rows, tokens));
}

const bytesOf = (array: Int32Array | Float64Array) =>
  new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);

async function openTokens(
  source: ByteSource,
  facts: Pick<TokenizedDataset, "maxLength" | "labels" | "cache" | "note">,
): Promise<TokenizedDataset> {
  const [rows, tokens] = new Float64Array((await source.read(source.size - 16, 16)).buffer) as unknown as [
    number,
    number,
  ];
  const column = async (k: number) => new Int32Array((await source.read(4 * (tokens + k * rows), 4 * rows)).buffer);
  const [lengths, firsts] = [await column(0), await column(1)];
  const starts = new Float64Array(rows + 1);
  for (let i = 0; i < rows; i++) starts[i + 1] = starts[i]! + lengths[i]!;
  return {
    ...facts,
    length: rows,
    lengths,
    async read(numbers) {
      const pieces = await Promise.all(numbers.map((i) => source.read(4 * starts[i]!, 4 * lengths[i]!)));
      const ids = new Int32Array(pieces.reduce((sum, piece) => sum + piece.length / 4, 0));
      pieces.reduce((at, piece) => (ids.set(new Int32Array(piece.buffer), at), at + piece.length / 4), 0);
      return {
        ids,
        lengths: Int32Array.from(numbers, (i) => lengths[i]!),
        firsts: Int32Array.from(numbers, (i) => firsts[i]!),
      };
    },
    close: () => source.close(),
  };
}
