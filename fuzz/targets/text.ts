import { AutoTokenizer, bertTokenizer, folderOf } from "@gpugrad/bert";
import { cleanHtml } from "@gpugrad/train";
import { bundle, textOf, unbundle, type Target } from "../target.ts";

const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "b", "##b", "the", "film", "was", "##s", "é", "好", "!", ",", "."]; // prettier-ignore
const tokenizer = bertTokenizer(vocabulary, { model_max_length: 64 });
const texts = ["The film was a [SEP] ab, é好!", "aab [MASK]\u0301\u200d", ""];

/** Text into ids and offsets, alone and as a pair, whole and cut. */
export const encode: Target = {
  name: "encode",
  seeds: ["The film was [SEP] a, b [MASK] é好! aaabbb", "a\u0301\u0302 \u3000\t\n ﬁ 𝐀 😀"],
  dictionary: [
    "[SEP]",
    "[CLS]",
    "[MASK] ",
    " ",
    "\u0301",
    "好",
    "a",
    "\u0000",
    "\ufffd",
    "\u2028",
    "ß",
    "İ",
    "ﷺ",
    "aaaaaaaa",
  ],
  read(input) {
    const text = textOf(input);
    const middle = text.length >> 1;
    void tokenizer.encode(text).offsets;
    tokenizer.encode(text.slice(0, middle), { textPair: text.slice(middle), truncation: true, maxLength: 16 });
  },
};

/** A tokenizer of another kind than BERT's, in the form that GPT-2 made common: merges of characters that each stand for a byte. */
const bpeTokens = [..."<s> <pad> </s> <unk> th the Ġf Ġfi Ġfilm lm".split(" "), ..."abcdefhilmnorstuw,.!Ġ"];
const bpeMerges = ["t h", "th e", "Ġ f", "Ġf i", "l m", "Ġfi lm"];
const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

const bpeFiles = (pre_tokenizer: object, merges: readonly (string | string[])[]): Uint8Array =>
  bundle({
    "tokenizer.json": JSON.stringify({
      version: "1.0",
      added_tokens: bpeTokens.slice(0, 4).map((content, id) => ({ id, content, special: true })),
      normalizer: { type: "NFC" },
      pre_tokenizer,
      post_processor: { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 0] },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", unk_token: "<unk>", vocab: Object.fromEntries(bpeTokens.map((token, id) => [token, id])), merges }, // prettier-ignore
    }),
    "tokenizer_config.json": JSON.stringify({ bos_token: "<s>", eos_token: "</s>", pad_token: "<pad>", model_max_length: 64 }), // prettier-ignore
  });

/** `tokenizer.json`, `tokenizer_config.json` and what else a folder may hold of a tokenizer. */
export const tokenizerFiles: Target = {
  name: "tokenizer-files",
  seeds: [
    bundle({
      "tokenizer.json": JSON.stringify({
        version: "1.0",
        truncation: null,
        padding: null,
        added_tokens: vocabulary.slice(0, 5).map((content, id) => ({
          ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
        })),
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true }, // prettier-ignore
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
          pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
          special_tokens: { "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] } },
        },
        decoder: { type: "WordPiece", prefix: "##", cleanup: true },
        model: {
          ...{ type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100 },
          vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
        },
      }),
      "tokenizer_config.json": JSON.stringify({
        ...{ do_lower_case: true, model_max_length: 64, tokenizer_class: "BertTokenizer", padding_side: "right" },
        added_tokens_decoder: {
          18: { content: "<X>", lstrip: true, single_word: true, normalized: false, special: false },
        },
      }),
      "special_tokens_map.json": JSON.stringify({ cls_token: "[CLS]", sep_token: { content: "[SEP]" } }),
      "added_tokens.json": JSON.stringify({ "<Y>": 19 }),
    }),
    bpeFiles(byteLevel, bpeMerges),
    bpeFiles(
      {
        type: "Sequence",
        pretokenizers: [
          {
            type: "Split",
            pattern: { Regex: " ?\\p{L}+|\\s+(?!\\S)|\\p{N}{1,3}" },
            behavior: "Isolated",
            invert: false,
          },
          { type: "Split", pattern: { String: "," }, behavior: "MergedWithPrevious", invert: false },
          { ...byteLevel, use_regex: false },
        ],
      },
      bpeMerges.map((pair) => pair.split(" ")),
    ),
  ],
  dictionary: ['"type":"Sequence"', '"BertProcessing"', '"Unigram"', '"BPE"', '"lstrip":true', '"content":""', '"vocab":{}', '"Split","pattern":{"Regex":"(a+)+$"}', '"behavior":"Removed"', '"merges":[["t"]]', '"invert":true', '"add_prefix_space":true'], // prettier-ignore
  async read(input) {
    const loaded = await AutoTokenizer.fromPretrained(folderOf(unbundle(input), "model"));
    for (const text of texts) loaded.encode(text, { textPair: texts[1]!, truncation: true, maxLength: 12 });
    loaded.decode(loaded.encode(texts[0]!).input_ids);
  },
};

/** `vocab.txt` alone. */
export const vocab: Target = {
  name: "vocab",
  seeds: [vocabulary.join("\n"), `${vocabulary.join("\r\n")}\r\n`],
  dictionary: ["[UNK]\n", "\n\n", "##", "\r", "\ufeff", "__proto__\n", "a\n"],
  async read(input) {
    const loaded = await AutoTokenizer.fromPretrained(folderOf({ "vocab.txt": input }, "model"));
    for (const text of texts) loaded.encode(text);
  },
};

/** Tags, comments and entities out of a text. */
export const html: Target = {
  name: "clean-html",
  seeds: [
    "<p>It&#39;s <b>great</b>!<br /><br/>5 &lt; 6 &amp; <!-- note --> so</p>",
    "<script>if (a < b) c()</script><style>x{}</style>&constructor;&#x1F600;",
  ],
  dictionary: [
    "<!--",
    "-->",
    "<",
    ">",
    "<script",
    "</script>",
    "&",
    "&#",
    "&#x110000;",
    ";",
    "<br",
    "<![CDATA[",
    '="',
    "'",
  ],
  read: (input) => cleanHtml(textOf(input)),
};
