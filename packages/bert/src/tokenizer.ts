import { openFolder, writeFileAside } from "#platform";
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { alignedBert, type AddedToken, type BertPipeline, type Pieces, type WordPieceModel } from "./aligned.ts";
import { check } from "./errors.ts";
import { readJson, readText, type Folder } from "./files.ts";
import { paddedLength, requirePadTokenId } from "./padding.ts";

/** Which text gives way when a pair is too long: the longer one token by token, or always the same. */
export type TruncationStrategy = "longest_first" | "only_first" | "only_second";

/** How to encode; the names are those of Transformers' `tokenizer(…)`. */
export interface EncodeOptions {
  /** [CLS], [SEP] and the like. Default true. */
  addSpecialTokens?: boolean | undefined;
  /** `true` means `longest_first`. Default: cut only where `maxLength` is given and nothing is padded. */
  truncation?: boolean | TruncationStrategy | undefined;
  /** Tokens, special ones included. Default the model's own limit, where tokenizer_config.json has one. */
  maxLength?: number | undefined;
  /** `longest` of the batch, or `max_length`; `true` means `longest`. Default none. */
  padding?: boolean | "longest" | "max_length" | undefined;
  /** Padded lengths are rounded up to a multiple of it. */
  padToMultipleOf?: number | undefined;
}

/** A text, or a pair of texts, as tokens. */
export class Encoding {
  readonly input_ids: number[];
  /** 0 for the first text, 1 for the second. */
  readonly token_type_ids: number[];
  /** 1 for tokens, 0 for padding. */
  readonly attention_mask: number[];
  /** 1 for tokens that are not of the text: [CLS], [SEP], padding. */
  readonly special_tokens_mask: number[];
  /** Start and end of each token, one pair after the other; undefined where the tokenizer cannot tell. */
  readonly #offsets: Int32Array | undefined;

  constructor(
    columns: Pick<Encoding, "input_ids" | "token_type_ids" | "attention_mask" | "special_tokens_mask">,
    offsets: Int32Array | undefined,
  ) {
    this.input_ids = columns.input_ids;
    this.token_type_ids = columns.token_type_ids;
    this.attention_mask = columns.attention_mask;
    this.special_tokens_mask = columns.special_tokens_mask;
    this.#offsets = offsets;
  }

  /** Number of tokens, padding included. */
  get length(): number {
    return this.input_ids.length;
  }

  /**
   * Where each token lies in its text: [start, end) in Unicode code points, as in Python; [0, 0] for special tokens. In
   * JavaScript that part of the text is `[...text].slice(start, end).join("")`.
   */
  get offsets(): [number, number][] {
    const offsets = this.#offsets;
    check(offsets, "offsets: this tokenizer does not keep them; BERT's does.");
    return this.input_ids.map((_, i) => [offsets[2 * i]!, offsets[2 * i + 1]!]);
  }
}

type Json = Record<string, unknown>;

/** A place in the template that post-processing fills: a special token, the first or the second text. */
interface Slot {
  text?: "A" | "B";
  ids: number[];
  type: number;
}

/** The names under which tokenizer_config.json lists special tokens, and what BERT calls them. */
const bertTokens = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};
type SpecialToken = keyof typeof bertTokens;

/** Transformers writes 10³⁰ where a tokenizer has no limit. */
const noLimit = 1e18;

/**
 * Text to ids and back, as Hugging Face's fast tokenizers do it, out of the same two files.
 *
 * `@huggingface/tokenizers` does vocabularies, decoding and other models' pipelines; BERT's own way from text to tokens is
 * ours, because it keeps offsets and follows the Rust library in the places where the JavaScript one does not.
 */
export class Tokenizer {
  /** Longest input of the model, in tokens; Infinity when tokenizer_config.json has none. */
  readonly modelMaxLength: number;
  readonly paddingSide: "left" | "right";
  readonly truncationSide: "left" | "right";
  readonly #json: Json;
  readonly #config: Json;
  readonly #library: HubTokenizer;
  readonly #pieces: (text: string) => Pieces;
  readonly #hasOffsets: boolean;
  readonly #special: Readonly<Record<SpecialToken, string | undefined>>;
  readonly #single: Slot[];
  readonly #pair: Slot[];

  /** From the contents of tokenizer.json and tokenizer_config.json. @throws {@link GpugradError} when they do not fit. */
  constructor(json: Json, config: Json = {}) {
    this.#config = config;
    this.#json = json = withConfig(json, config);
    const limit = config["model_max_length"];
    this.modelMaxLength = typeof limit === "number" && limit < noLimit ? limit : Infinity;
    this.paddingSide = config["padding_side"] === "left" ? "left" : "right";
    this.truncationSide = config["truncation_side"] === "left" ? "left" : "right";
    this.#library = new HubTokenizer(json, config);
    const aligned = alignedPipeline(json);
    this.#hasOffsets = aligned !== undefined;
    this.#pieces =
      aligned ?? ((text) => ({ ids: this.#library.encode(text, { add_special_tokens: false }).ids, offsets: [] }));
    const content = (token: unknown) =>
      typeof token === "string" ? token : (token as { content?: string } | null | undefined)?.content;
    this.#special = Object.fromEntries(
      Object.entries(bertTokens).map(([name, usual]) => {
        const token = content(config[name]) ?? usual;
        return [name, this.tokenToId(token) === undefined ? undefined : token];
      }),
    ) as Record<SpecialToken, string | undefined>;
    [this.#single, this.#pair] = templates(json["post_processor"] as Json | null, (token) => this.#idOf(token));
  }

  /** Number of tokens, added ones included. */
  get vocabSize(): number {
    return this.#library.get_vocab().size;
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
    return this.#library.token_to_id(token);
  }
  idToToken(id: number): string | undefined {
    return this.#library.id_to_token(id);
  }

  /** One text, or a pair with `textPair`. @throws {@link GpugradError} when it cannot be cut or padded as asked. */
  encode(text: string, { textPair, ...options }: EncodeOptions & { textPair?: string | undefined } = {}): Encoding {
    return this.encodeBatch([text], { ...options, textPairs: [textPair] })[0]!;
  }

  /** Several texts; `textPairs`, of the same length, makes pairs of those that have a second text. @throws {@link GpugradError} as {@link encode} does. */
  encodeBatch(
    texts: readonly string[],
    { textPairs, ...options }: EncodeOptions & { textPairs?: readonly (string | undefined)[] | undefined } = {},
  ): Encoding[] {
    check(
      textPairs === undefined || textPairs.length === texts.length,
      () => `tokenizer: ${texts.length} texts and ${textPairs!.length} second texts do not pair up.`,
    );
    const { addSpecialTokens = true, padding = false, maxLength = this.modelMaxLength } = options;
    const { truncation = options.maxLength !== undefined && padding === false } = options;
    const strategy = truncation === true ? "longest_first" : truncation;
    check(maxLength > 0, () => `tokenizer: maxLength ${maxLength} leaves no room for a token.`);

    const rows = texts.map((text, i) => {
      const second = textPairs?.[i];
      const template = (second === undefined ? this.#single : this.#pair).filter(
        (slot) => addSpecialTokens || slot.text,
      );
      const a = this.#pieces(text);
      const b = second === undefined ? undefined : this.#pieces(second);
      const added = template.reduce((sum, slot) => sum + slot.ids.length, 0);
      if (strategy && maxLength < Infinity) this.#truncate(a, b, maxLength, added, strategy);
      return { template, a, b, length: added + a.ids.length + (b?.ids.length ?? 0) };
    });

    const multiple = options.padToMultipleOf ?? 1;
    check(
      !strategy || !padding || maxLength === Infinity || maxLength % multiple === 0,
      () =>
        `tokenizer: maxLength ${maxLength} is no multiple of padToMultipleOf ${multiple}, so padding would exceed it.`,
    );
    const length =
      padding === false
        ? 0
        : paddedLength(
            rows.map((row) => row.length),
            { padding: padding === true ? "longest" : padding, maxLength, padToMultipleOf: multiple },
          );
    return rows.map((row) => this.#fill(row.template, row.a, row.b, Math.max(row.length, length), row.length));
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
    const known = Array.from(ids).filter((id) => this.idToToken(id) !== undefined);
    if (known.length === 0) return "";
    const {
      skipSpecialTokens = false,
      cleanUpTokenizationSpaces = this.#config["clean_up_tokenization_spaces"] === true,
    } = options;
    return this.#library.decode(known, {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: cleanUpTokenizationSpaces,
    });
  }

  batchDecode(
    batch: readonly ArrayLike<number>[],
    options: { skipSpecialTokens?: boolean; cleanUpTokenizationSpaces?: boolean } = {},
  ): string[] {
    return batch.map((ids) => this.decode(ids, options));
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

  /** Shortens `a` and `b` in place. @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/utils/truncation.rs */
  #truncate(a: Pieces, b: Pieces | undefined, maxLength: number, added: number, strategy: TruncationStrategy): void {
    const room = maxLength - added;
    check(room >= 0, () => `tokenizer: maxLength ${maxLength} is less than the ${added} special tokens.`);
    const [first, second] = [a.ids.length, b?.ids.length ?? 0];
    const excess = first + second - room;
    if (excess <= 0) return;
    if (strategy === "longest_first") {
      if (!b) return cut(a, room, this.truncationSide);
      const shorter = Math.min(first, second);
      let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
      let kept = shorter;
      if (kept + longer > room) {
        kept = Math.floor(room / 2);
        longer = kept + (room % 2);
      }
      cut(a, first > second ? longer : kept, this.truncationSide);
      cut(b, first > second ? kept : longer, this.truncationSide);
      return;
    }
    const target = strategy === "only_first" ? a : b;
    check(target, "tokenizer: truncation only_second, but there is no second text. Use longest_first.");
    check(
      target.ids.length > excess,
      () =>
        `tokenizer: truncation ${strategy}: ${excess} tokens too many for maxLength ${maxLength}, and that text has ${target.ids.length}. Use longest_first.`,
    );
    cut(target, target.ids.length - excess, this.truncationSide);
  }

  #fill(template: Slot[], a: Pieces, b: Pieces | undefined, length: number, used: number): Encoding {
    const columns = {
      input_ids: [] as number[],
      token_type_ids: [] as number[],
      attention_mask: [] as number[],
      special_tokens_mask: [] as number[],
    };
    const offsets = this.#hasOffsets ? new Int32Array(2 * length) : undefined;
    const push = (id: number, type: number, attention: number, special: number) => {
      columns.input_ids.push(id);
      columns.token_type_ids.push(type);
      columns.attention_mask.push(attention);
      columns.special_tokens_mask.push(special);
    };
    const pad = () => {
      if (used === length) return;
      const id = requirePadTokenId(this);
      for (let i = used; i < length; i++) push(id, 0, 0, 1);
    };
    if (this.paddingSide === "left") pad();
    for (const { text, ids, type } of template) {
      const pieces = text === "A" ? a : text === "B" ? b : undefined;
      if (pieces) offsets?.set(pieces.offsets, 2 * columns.input_ids.length);
      for (const id of pieces?.ids ?? ids) push(id, type, 1, pieces ? 0 : 1);
    }
    if (this.paddingSide === "right") pad();
    return new Encoding(columns, offsets);
  }
}

function cut({ ids, offsets }: Pieces, length: number, side: "left" | "right"): void {
  const excess = Math.max(ids.length - length, 0);
  ids.splice(side === "left" ? 0 : length, excess);
  offsets.splice(side === "left" ? 0 : 2 * length, 2 * excess);
}

/** What tokenizer_config.json says about normalizing comes before tokenizer.json, as in Transformers. */
function withConfig(json: Json, config: Json): Json {
  const normalizer = json["normalizer"] as Json | null;
  if (normalizer?.["type"] !== "BertNormalizer") return json;
  const said = (key: string, name: string) => (config[key] === undefined ? {} : { [name]: config[key] });
  return {
    ...json,
    normalizer: {
      ...normalizer,
      ...said("do_lower_case", "lowercase"),
      ...said("strip_accents", "strip_accents"),
      ...said("tokenize_chinese_chars", "handle_chinese_chars"),
    },
  };
}

/** BERT's pipeline with offsets; undefined when tokenizer.json describes another one. */
function alignedPipeline(json: Json): ((text: string) => Pieces) | undefined {
  const type = (part: string) => (json[part] as Json | null)?.["type"];
  const model = json["model"] as Json;
  const isWordPiece =
    model["type"] === "WordPiece" || (model["type"] === undefined && "max_input_chars_per_word" in model);
  if (type("normalizer") !== "BertNormalizer" || type("pre_tokenizer") !== "BertPreTokenizer" || !isWordPiece)
    return undefined;
  return alignedBert({
    normalizer: json["normalizer"] as BertPipeline["normalizer"],
    addedTokens: (json["added_tokens"] ?? []) as AddedToken[],
    model: {
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      ...(model as Pick<WordPieceModel, "vocab">),
    },
  });
}

/** The templates of the post-processor, for one text and for two. */
function templates(processor: Json | null, idOf: (token: string) => number): [Slot[], Slot[]] {
  const text = (name: "A" | "B", type: number): Slot => ({ text: name, ids: [], type });
  const special = (token: string, type: number): Slot => ({ ids: [idOf(token)], type });
  switch (processor?.["type"]) {
    case "TemplateProcessing": {
      const tokens = processor["special_tokens"] as Record<string, { ids: number[] }>;
      type Item = { SpecialToken?: { id: string; type_id: number }; Sequence?: { id: "A" | "B"; type_id: number } };
      const slots = (items: unknown) =>
        (items as Item[]).map(({ SpecialToken: s, Sequence: t }) =>
          t ? text(t.id, t.type_id) : { ids: tokens[s!.id]?.ids ?? [idOf(s!.id)], type: s!.type_id },
        );
      return [slots(processor["single"]), slots(processor["pair"])];
    }
    case "BertProcessing":
    case "RobertaProcessing": {
      const [[sep], [cls]] = [processor["sep"], processor["cls"]] as [[string], [string]];
      const roberta = processor["type"] === "RobertaProcessing"; // two separators between the texts, and one type
      const between = roberta ? [special(sep, 0), special(sep, 0)] : [special(sep, 0)];
      const second = roberta ? 0 : 1;
      return [
        [special(cls, 0), text("A", 0), special(sep, 0)],
        [special(cls, 0), text("A", 0), ...between, text("B", second), special(sep, second)],
      ];
    }
    default:
      return [[text("A", 0)], [text("A", 0), text("B", 1)]];
  }
}

/**
 * BERT's tokenizer over a vocabulary, as a vocab.txt lists it: a token's place is its id.
 *
 * @param config What tokenizer_config.json would say, such as `{ do_lower_case: true, model_max_length: 512 }`.
 * @throws {@link FilesError} when a special token is not in the vocabulary.
 */
export function bertTokenizer(tokens: readonly string[], config: Record<string, unknown> = {}): Tokenizer {
  return new Tokenizer(fromVocabulary(tokens, config), config);
}

/** tokenizer.json of a BERT that has only a vocabulary. */
function fromVocabulary(tokens: readonly string[], config: Json): Json {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const name = (key: SpecialToken) => (typeof config[key] === "string" ? config[key] : bertTokens[key]);
  const [cls, sep, unk] = [name("cls_token"), name("sep_token"), name("unk_token")];
  for (const token of [cls, sep, unk]) check(token in vocab, () => `vocab.txt: no ${token}. Is it BERT's vocabulary?`);
  const specials = (Object.keys(bertTokens) as SpecialToken[]).map(name).filter((token) => token in vocab);
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const text = (id: "A" | "B", type_id: number) => ({ Sequence: { id, type_id } });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials
      .map((content) => ({
        id: vocab[content]!,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      }))
      .sort((a, b) => a.id - b.id),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special(cls, 0), text("A", 0), special(sep, 0)],
      pair: [special(cls, 0), text("A", 0), special(sep, 0), text("B", 1), special(sep, 1)],
      special_tokens: Object.fromEntries(
        [cls, sep].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: unk, continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
  };
}

export const AutoTokenizer = {
  /**
   * Reads the tokenizer of a folder or a repository of the Hub: tokenizer.json, or BERT's vocab.txt.
   *
   * @throws {@link GpugradError} when there is neither.
   */
  async fromPretrained(
    idOrFolder: string | Folder,
    options: Parameters<typeof openFolder>[1] = {},
  ): Promise<Tokenizer> {
    const folder = typeof idOrFolder === "string" ? await openFolder(idOrFolder, options) : idOrFolder;
    const config = (await readJson(folder, "tokenizer_config.json")) ?? {};
    const json = await readJson(folder, "tokenizer.json");
    if (json) return new Tokenizer(json, config);
    const vocab = await readText(folder, "vocab.txt");
    check(vocab !== undefined, () => `${folder.name}: no tokenizer: neither tokenizer.json nor vocab.txt.`);
    return bertTokenizer(vocab.replace(/\r?\n$/, "").split(/\r?\n/), config);
  },
};
