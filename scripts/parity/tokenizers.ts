import { readFileSync } from "node:fs";
import { AutoTokenizer, type EncodeBatchOptions, type Encoding, type Tokenizer } from "@gpugrad/bert";
import { exists, join, list, readJson } from "./files.ts";
import { attempt, type Result } from "./report.ts";
import { mismatch, same, type Check } from "./tolerance.ts";

/** A line of cases.jsonl. */
interface Case {
  text?: string | string[];
  pair?: string;
  texts?: string[];
  options?: Record<string, unknown>;
  encodings?: GoldenEncoding[];
  sample_of_encoding?: number[];
  decoded?: string;
  decoded_with_special?: string;
  error?: string;
}

/** `types`, `mask` and `sequence` have a character per token; left out, types are 0 and masks 1. */
interface GoldenEncoding {
  ids: number[];
  types?: string;
  mask?: string;
  offsets: number[];
  special: number[];
  sequence?: string;
  word?: (number | null)[];
}

interface About {
  vocab_size: number;
  special_tokens: Record<string, { token: string; id: number }>;
}

/** Every case of every tokenizer: ids, types, masks, offsets, words, what decoding gives, and that it fails where it should. */
export async function* tokenizers(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const folder of list(dir, "folders")) {
    if (!exists(join(dir, folder, "cases.jsonl"))) continue;
    const place = { group: "tokenizers", file: folder };
    let tokenizer: Tokenizer;
    try {
      tokenizer = await AutoTokenizer.fromPretrained(join(dir, folder));
    } catch (error) {
      yield { ...place, name: "opens", checks: [mismatch("error", (error as Error).message)] };
      continue;
    }
    const about = join(dir, folder, "about.json");
    if (exists(about) && wanted(`tokenizers/${folder}/about`))
      yield { ...place, name: "about", checks: vocabulary(tokenizer, readJson<About>(about)) };
    // Line ends in texts are escaped, but U+2028 and the like are not.
    const lines = readFileSync(join(dir, folder, "cases.jsonl"), "utf8")
      .split("\n")
      .filter(Boolean);
    for (const [i, line] of lines.entries()) {
      const golden = JSON.parse(line) as Case;
      const name = `${kindOf(golden)} ${i + 1}`;
      if (!wanted(`tokenizers/${folder}/${name}`)) continue;
      yield { ...place, name, checks: await attempt(() => Promise.resolve(compareCase(tokenizer, golden))) };
    }
  }
}

function kindOf({ text, pair, texts, options = {} }: Case): string {
  if (options["return_overflowing_tokens"]) return "windows";
  if (texts) return "batch";
  if (options["truncation"]) return "truncation";
  if (options["padding"]) return "padding";
  if (Array.isArray(text)) return "words";
  return pair === undefined ? "text" : "pair";
}

function vocabulary(tokenizer: Tokenizer, { vocab_size, special_tokens }: About): Check[] {
  const ids = Object.fromEntries(Object.keys(special_tokens).map((name) => [name, special_tokens[name]!.id]));
  const got = {
    bos_token: tokenizer.bosTokenId,
    eos_token: tokenizer.eosTokenId,
    unk_token: tokenizer.unkTokenId,
    sep_token: tokenizer.sepTokenId,
    pad_token: tokenizer.padTokenId,
    cls_token: tokenizer.clsTokenId,
    mask_token: tokenizer.maskTokenId,
  };
  return [same("vocab_size", tokenizer.vocabSize, vocab_size), same("special_tokens", got, ids)];
}

function compareCase(tokenizer: Tokenizer, golden: Case): Check[] {
  const { text, pair, texts = [text!], options = {}, encodings, decoded, decoded_with_special } = golden;
  const camelCase = (name: string) => name.replace(/_./g, (part) => part[1]!.toUpperCase());
  const wanted = Object.fromEntries(Object.entries(options).map(([name, value]) => [camelCase(name), value]));
  let got: Encoding[];
  try {
    got = tokenizer.encodeBatch(texts, {
      truncation: false,
      ...(wanted as EncodeBatchOptions),
      ...(pair !== undefined && { textPairs: [pair] }),
    });
  } catch (error) {
    return [same("error", golden.error ? null : (error as Error).message, null)];
  }
  if (!encodings) return [mismatch("error", `none, instead of ${golden.error}`)];
  const checks = [same("number of encodings", got.length, encodings.length)];
  if (golden.sample_of_encoding)
    checks.push(
      same(
        "sample",
        got.map(({ sample }) => sample),
        golden.sample_of_encoding,
      ),
    );
  for (const [i, want] of encodings.entries()) {
    const encoding = got[i];
    if (!encoding) break;
    // In the second and further windows the library leaves types of pairs as they were before post-processing.
    const hasTypes = i === 0 || encodings[0]!.types !== undefined;
    checks.push(...compareEncoding(encoding, texts, pair, want, hasTypes));
  }
  const ids = got[0]!.input_ids;
  if (decoded !== undefined)
    checks.push(
      same("decoded", tokenizer.decode(ids, { skipSpecialTokens: true, cleanUpTokenizationSpaces: false }), decoded),
    );
  if (decoded_with_special !== undefined)
    checks.push(
      same("decoded_with_special", tokenizer.decode(ids, { cleanUpTokenizationSpaces: false }), decoded_with_special),
    );
  return checks;
}

function compareEncoding(
  got: Encoding,
  texts: readonly unknown[],
  pair: unknown,
  want: GoldenEncoding,
  hasTypes: boolean,
): Check[] {
  const digits = (values: readonly (number | null)[]) => values.map((value) => value ?? "-").join("");
  const length = want.ids.length;
  const about = `of ${JSON.stringify(pair === undefined ? texts : [...texts, pair]).slice(0, 100)}`;
  const checks = [
    same(`ids ${about}`, got.input_ids, want.ids),
    same(`offsets ${about}`, got.offsets.flat(), want.offsets),
    same(`mask ${about}`, digits(got.attention_mask), want.mask ?? "1".repeat(length)),
    same(
      `special ${about}`,
      got.special_tokens_mask.flatMap((isSpecial, j) => (isSpecial ? [j] : [])),
      want.special,
    ),
  ];
  if (hasTypes) checks.push(same(`types ${about}`, digits(got.token_type_ids), want.types ?? "0".repeat(length)));
  if (want.sequence !== undefined) checks.push(same(`sequence ${about}`, digits(got.sequence_ids()), want.sequence));
  if (want.word !== undefined) checks.push(same(`word ${about}`, got.word_ids(), want.word));
  return checks;
}
