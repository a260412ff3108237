import { writeFileAside, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { closeGaps, tokensToString } from "./decoders.ts";
import {
  type Encoding,
  fullEncodeOptions,
  type EncodeBatchOptions,
  type EncodeOptions,
  type FullEncodeOptions,
} from "./encoding.ts";
import { paddedLength } from "./padding.ts";
import { modelType } from "./models/index.ts";
import { tokenizerPipeline, type Tokenize, type TokenizerInput } from "./pipeline.ts";
import { marginsOf, postProcessorOf, type PostProcessor } from "./post-processor.ts";
import { encodingOf, rowOf, templateOf, type Row, type Template } from "./rows.ts";
import {
  bertTokens,
  completeTokenizer,
  contentOf,
  limitOf,
  sideOf,
  specialTokens,
  type SpecialToken,
} from "./tokenizer-json.ts";
import { checkTruncationSide, truncatedPieces, type TruncationSide } from "./truncation.ts";

/** How long {@link Tokenizer.encodeBatchAsync} works at a time. */
const sliceMilliseconds = 8;

/** In tokenizer_config.json: texts lose their middle. A name of its own, since Transformers refuses any `truncation_side` but left and right. */
const HEAD_TAIL = "gpugrad_head_tail";

/**
 * Text to ids and back, as Hugging Face's fast tokenizers do it, out of the same two files. The file is longer than others since this is
 * the one class that users call; its stages are in files of their own.
 */
export class Tokenizer {
  /** Longest input of the model, in tokens; Infinity when tokenizer_config.json has none. */
  readonly modelMaxLength: number;
  readonly paddingSide: "left" | "right";
  /** Which end of a text is cut off, where it isn't said: that of tokenizer_config.json, or another one that {@link withTruncationSide} set. */
  readonly truncationSide: TruncationSide;
  readonly #json: Json;
  readonly #config: Json;
  readonly #tokenize: Tokenize;
  readonly #tokensToString: (tokens: readonly string[]) => string;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #special: Readonly<Record<SpecialToken, string | undefined>>;
  /** Ids that decoding may leave out. */
  readonly #specialIds: ReadonlySet<number>;
  readonly #postProcessor: PostProcessor;
  /** By kind, and whether there are special tokens. */
  readonly #templates: Record<string, Template> = {};

  /**
   * From the contents of tokenizer.json and tokenizer_config.json.
   *
   * @throws {@link GpugradError} when they do not fit, naming the first part that can't be.
   */
  constructor(json: Json, config: Json = {}) {
    const { complete, vocabulary } = completeTokenizer(json, config);
    this.#config = config;
    this.#json = complete;
    this.modelMaxLength = limitOf(config);
    this.paddingSide = sideOf(config, "padding_side");
    this.truncationSide = config[HEAD_TAIL] === true ? "head_tail" : sideOf(config, "truncation_side");
    const added = complete.added_tokens;
    this.#ids = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
    this.#tokens = new Map([...this.#ids].map(([token, id]) => [id, token]));
    this.#special = Object.fromEntries(
      specialTokens.map((name) => {
        const token = contentOf(config[name]) ?? (bertTokens as Partial<Record<SpecialToken, string>>)[name];
        return [name, token !== undefined && this.#ids.has(token) ? token : undefined];
      }),
    ) as Record<SpecialToken, string | undefined>;
    this.#specialIds = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    this.#postProcessor = postProcessorOf(complete["post_processor"], (token) => this.#idOf(token));
    const margins = new Map<number, [number, number]>();
    const marginsOfToken = (id: number) => {
      const known = margins.get(id) ?? marginsOf(this.#tokens.get(id)!);
      margins.set(id, known);
      return known;
    };
    this.#tokenize = tokenizerPipeline(
      complete,
      vocabulary,
      config["split_special_tokens"] === true,
      this.#postProcessor.trim && marginsOfToken,
    );
    this.#tokensToString = tokensToString(complete["decoder"]);
  }

  /** Number of tokens, added ones included. */
  get vocabSize(): number {
    return this.#ids.size;
  }
  get padToken(): string | undefined {
    return this.#special.pad_token;
  }
  get clsToken(): string | undefined {
    return this.#special.cls_token;
  }
  get sepToken(): string | undefined {
    return this.#special.sep_token;
  }
  get maskToken(): string | undefined {
    return this.#special.mask_token;
  }
  get unkToken(): string | undefined {
    return this.#special.unk_token;
  }
  get bosToken(): string | undefined {
    return this.#special.bos_token;
  }
  get eosToken(): string | undefined {
    return this.#special.eos_token;
  }
  get bosTokenId(): number | undefined {
    return this.#specialId("bos_token");
  }
  get eosTokenId(): number | undefined {
    return this.#specialId("eos_token");
  }
  get padTokenId(): number | undefined {
    return this.#specialId("pad_token");
  }
  get clsTokenId(): number | undefined {
    return this.#specialId("cls_token");
  }
  get sepTokenId(): number | undefined {
    return this.#specialId("sep_token");
  }
  get maskTokenId(): number | undefined {
    return this.#specialId("mask_token");
  }
  get unkTokenId(): number | undefined {
    return this.#specialId("unk_token");
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }
  idToToken(id: number): string | undefined {
    return this.#tokens.get(id);
  }

  /** The text of a list of tokens, wherever they come from. */
  convertTokensToString(tokens: readonly string[]): string {
    return this.#tokensToString(tokens);
  }
  /** Whether tokens that continue a word are marked, as WordPiece's `##`. */
  get marksContinuation(): boolean {
    const { continuing_subword_prefix: mark } = this.#json["model"] as Json;
    return typeof mark === "string" && mark !== "";
  }

  /**
   * One text, or a pair with `textPair`. Where the beginning of a text is kept, no more of it is read than that takes.
   *
   * @throws {@link GpugradError} when it cannot be cut or padded as asked.
   */
  encode(
    text: TokenizerInput,
    { textPair, ...options }: EncodeOptions & { textPair?: TokenizerInput | undefined } = {},
  ): Encoding {
    check(
      options.returnOverflowingTokens !== true,
      "tokenizer: returnOverflowingTokens: encode returns one encoding. Use encodeBatch([text], …), which returns all windows.",
    );
    return this.encodeBatch([text], { ...options, textPairs: [textPair] })[0]!;
  }

  /**
   * Several texts; `textPairs`, of the same length, makes pairs of those that have a second text. One encoding for each text, in order; with
   * `returnOverflowingTokens` one for each window, whose `sample` says which text it is of.
   *
   * @throws {@link GpugradError} as {@link encode} does.
   */
  encodeBatch(texts: readonly TokenizerInput[], options: EncodeBatchOptions = {}): Encoding[] {
    const work = this.#encodeBatch(texts, options);
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
    }
  }

  /**
   * The same as {@link encodeBatch}, some milliseconds at a time: other work of the thread, such as other requests to a server, is not
   * held up by long texts.
   *
   * @param options `signal` stops the work.
   * @throws {@link GpugradError} as {@link encode} does; the signal's reason when it is aborted.
   */
  async encodeBatchAsync(
    texts: readonly TokenizerInput[],
    { signal, ...options }: EncodeBatchOptions & { signal?: AbortSignal | undefined } = {},
  ): Promise<Encoding[]> {
    const work = this.#encodeBatch(texts, options);
    for (let start = performance.now(); ;) {
      const { done, value } = work.next();
      if (done) return value;
      if (performance.now() - start < sliceMilliseconds) continue;
      await new Promise((resolve) => setTimeout(resolve));
      signal?.throwIfAborted();
      start = performance.now();
    }
  }

  *#encodeBatch(
    texts: readonly TokenizerInput[],
    { textPairs, ...given }: EncodeBatchOptions,
  ): Generator<void, Encoding[]> {
    check(
      textPairs === undefined || textPairs.length === texts.length,
      () => `tokenizer: ${texts.length} texts and ${textPairs!.length} second texts do not pair up.`,
    );
    const options = fullEncodeOptions(given, this);
    const rows: Row[] = [];
    for (let sample = 0; sample < texts.length; sample++) {
      const [text, second] = [texts[sample]!, textPairs?.[sample] ?? undefined];
      checkInput(text, options.isSplitIntoWords, sample);
      if (second !== undefined) checkInput(second, options.isSplitIntoWords, sample);
      for (const row of yield* this.#rowsOf(sample, [text, second], options)) rows.push(row);
    }

    // With max_length, longer rows keep their length and are not rounded up.
    const lengths = options.padding === "longest" ? rows.map((row) => row.length) : [];
    const length = options.padding ? paddedLength(lengths, { ...options, padding: options.padding }) : 0;
    const encodings = [];
    for (const row of rows) {
      encodings.push(
        encodingOf(row, Math.max(row.length, length), options.paddingSide, this, this.#postProcessor.trim),
      );
      yield;
    }
    return encodings;
  }

  /** A text or a pair with special tokens: as one row, or with overflowing tokens as one for each window, the first being the one that is kept. */
  *#rowsOf(
    sample: number,
    texts: readonly [TokenizerInput, TokenizerInput | undefined],
    options: FullEncodeOptions,
  ): Generator<void, Row[]> {
    const { maxLength, truncation: strategy, stride, truncationSide: side } = options;
    const template = this.#template(texts[1] === undefined ? "single" : "pair", options);
    const room = maxLength - template.special;
    const truncation =
      strategy && room >= 0 && room < Infinity
        ? { strategy, side, room, stride, overflow: options.returnOverflowingTokens }
        : undefined;
    const [a, b] = yield* truncatedPieces(texts, this.#tokenize, truncation);
    const [firstA, ...otherA] = template.uses.A ? a : [a[0]];
    const [firstB, ...otherB] = b && template.uses.B ? b : [b?.[0]];
    const first = rowOf(template.slots, firstA, firstB, sample);
    if (otherA.length + otherB.length === 0) return [first];
    // In the order of the Rust library: the windows that are kept, then each other one of the first text with all of the second's.
    const others = otherA.flatMap((A) => [firstB, ...otherB].map((B) => rowOf(template.slots, A, B, sample)));
    return [first, ...others, ...otherB.map((B) => rowOf(template.slots, firstA, B, sample))];
  }

  /**
   * A pair of texts that are tokens already, with special tokens: what {@link encode} makes of a pair, without offsets and words. Nothing is cut or padded.
   *
   * @see https://huggingface.co/docs/transformers/main_classes/tokenizer (`build_inputs_with_special_tokens`)
   */
  encodePair(first: ArrayLike<number>, second: ArrayLike<number>): Encoding {
    const pieces = (ids: ArrayLike<number>) => ({ ids: Array.from(ids), offsets: [], words: [], margins: [] });
    const { slots } = this.#template("pair", { addSpecialTokens: true });
    const row = rowOf(slots, pieces(first), pieces(second), 0);
    return encodingOf(row, row.length, this.paddingSide, this, undefined);
  }

  /** The slots for one text or two, without special tokens where none are asked for. */
  #template(kind: "single" | "pair", { addSpecialTokens }: Pick<FullEncodeOptions, "addSpecialTokens">): Template {
    return (this.#templates[`${kind} ${addSpecialTokens}`] ??= templateOf(
      this.#postProcessor[kind].filter((slot) => addSpecialTokens || slot.text),
    ));
  }

  /**
   * Ids to text.
   *
   * @param options `skipSpecialTokens` leaves out [CLS] and the like; `cleanUpTokenizationSpaces` closes the gaps of
   * contractions (`don ' t` → `don't`), default as tokenizer_config.json says, else no.
   */
  decode(
    ids: ArrayLike<number>,
    options: { skipSpecialTokens?: boolean; cleanUpTokenizationSpaces?: boolean } = {},
  ): string {
    const { skipSpecialTokens = false, cleanUpTokenizationSpaces = this.#cleansUp() } = options;
    const shown = Array.from(ids).flatMap((id) =>
      skipSpecialTokens && this.#specialIds.has(id) ? [] : (this.#tokens.get(id) ?? []),
    );
    const text = this.convertTokensToString(shown);
    return cleanUpTokenizationSpaces ? closeGaps(text) : text;
  }

  /** What tokenizer_config.json says; as in Transformers, not for BPE, whose tokens have their spaces. */
  #cleansUp(): boolean {
    return this.#config["clean_up_tokenization_spaces"] === true && modelType(this.#json["model"] as Json) !== "BPE";
  }

  batchDecode(
    batch: readonly ArrayLike<number>[],
    options: { skipSpecialTokens?: boolean; cleanUpTokenizationSpaces?: boolean } = {},
  ): string[] {
    return batch.map((ids) => this.decode(ids, options));
  }

  /** The same tokenizer, which cuts texts on another side unless it is asked otherwise; its saved files keep that. */
  withTruncationSide(side: TruncationSide): Tokenizer {
    checkTruncationSide(side);
    const { [HEAD_TAIL]: _, ...config } = this.#config;
    return new Tokenizer(
      this.#json,
      side === "head_tail" ? { ...config, [HEAD_TAIL]: true } : { ...config, truncation_side: side },
    );
  }

  /** The same tokenizer, whose saved files name these inputs of the model: Python's Transformers then makes no others. */
  withModelInputNames(names: readonly string[]): Tokenizer {
    return new Tokenizer(this.#json, { ...this.#config, model_input_names: [...names] });
  }

  /** Writes tokenizer.json and tokenizer_config.json into `folder`; Python's Transformers reads them (in Node). */
  async savePretrained(folder: string): Promise<void> {
    const isBert = (this.#json["normalizer"] as Json | null)?.["type"] === "BertNormalizer";
    const known = Object.fromEntries(Object.entries(this.#special).filter(([, token]) => token !== undefined));
    const config = {
      ...(isBert && { tokenizer_class: "BertTokenizer" }),
      backend: "tokenizers",
      model_max_length: 1e30, // no limit, unless the config has one
      ...known,
      ...this.#config,
    };
    const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
    await writeFileAside(`${folder}/tokenizer.json`, JSON.stringify(this.#json, null, 2));
    await writeFileAside(
      `${folder}/tokenizer_config.json`,
      `${JSON.stringify(sorted, null, 2).replace("1e+30", "1000000000000000019884624838656")}\n`,
    );
  }

  #idOf(token: string): number {
    const id = this.tokenToId(token);
    check(id !== undefined, () => `tokenizer: the vocabulary has no "${token}".`);
    return id;
  }

  #specialId(name: SpecialToken): number | undefined {
    const token = this.#special[name];
    return token === undefined ? undefined : this.tokenToId(token);
  }
}

function checkInput(input: TokenizerInput, isSplitIntoWords: boolean, i: number): void {
  const isFine = isSplitIntoWords
    ? Array.isArray(input) && input.every((word) => typeof word === "string")
    : typeof input === "string";
  check(
    isFine,
    () =>
      `tokenizer: text ${i} is ${String(JSON.stringify(input)).slice(0, 40)}, not a ${isSplitIntoWords ? "list of words" : "string"}.` +
      (Array.isArray(input) && !isSplitIntoWords ? " For words, set isSplitIntoWords." : ""),
  );
}
