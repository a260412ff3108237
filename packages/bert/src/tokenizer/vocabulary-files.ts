import type { Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { bertTokens, contentOf } from "./tokenizer-json.ts";

/** tokenizer.json of a BERT that has only vocab.txt: a token's place is its id. @throws {@link GpugradError} */
export function bertOfVocabulary(tokens: readonly string[], config: Json): Json {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const [cls, sep, unk] = (["cls_token", "sep_token", "unk_token"] as const).map((key) => {
    const token = contentOf(config[key]) ?? bertTokens[key];
    check(Object.hasOwn(vocab, token), () => `vocab.txt: no ${token}. Is it BERT's vocabulary?`);
    return token;
  }) as [string, string, string];
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const text = (id: "A" | "B", type_id: number) => ({ Sequence: { id, type_id } });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
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

/** What RoBERTa calls its special tokens. */
export const robertaTokens = {
  bos_token: "<s>",
  eos_token: "</s>",
  unk_token: "<unk>",
  sep_token: "</s>",
  pad_token: "<pad>",
  cls_token: "<s>",
  mask_token: "<mask>",
};

/** The same of a RoBERTa that has only vocab.json and merges.txt. @throws {@link GpugradError} */
export function robertaOfFiles(vocab: Json, merges: string, config: Json): { json: Json; config: Json } {
  const lines = merges.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
  return robertaOfVocabulary(vocab, lines.map((line) => line.split(" ")), config); // prettier-ignore
}

/**
 * tokenizer.json and tokenizer_config.json of a RoBERTa with these tokens and merges, as Transformers makes them.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/models/roberta/tokenization_roberta.py
 * @throws {@link GpugradError}
 */
export function robertaOfVocabulary(
  vocab: Json,
  merges: readonly (readonly string[])[],
  config: Json,
): { json: Json; config: Json } {
  const complete: Json = { ...robertaTokens, ...config };
  const [cls, sep] = (["cls_token", "sep_token"] as const).map((name) => {
    const token = contentOf(complete[name]) ?? robertaTokens[name];
    check(Object.hasOwn(vocab, token), () => `vocab.json: no ${token}. Is it RoBERTa's vocabulary?`);
    return [token, vocab[token]];
  });
  const { add_prefix_space = false, trim_offsets = true } = complete;
  const byteLevel = { type: "ByteLevel", add_prefix_space, trim_offsets: true, use_regex: true };
  return {
    json: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: { type: "RobertaProcessing", sep, cls, trim_offsets, add_prefix_space },
      decoder: { ...byteLevel, add_prefix_space: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        merges,
      },
    },
    config: complete,
  };
}
