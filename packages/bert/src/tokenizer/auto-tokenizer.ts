import { isObject, readJson, readText, type Folder, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { loadTranslator } from "#oniguruma";
import { overBase } from "../adapters/base-folder.ts";
import { openByName, type HubOptions } from "../opener.ts";
import { contentOf, specialTokens } from "./tokenizer-json.ts";
import { hasExpressions } from "./regular-expression.ts";
import { Tokenizer } from "./tokenizer.ts";
import { bertOfVocabulary, robertaOfFiles } from "./vocabulary-files.ts";

/**
 * BERT's tokenizer over a vocabulary, as a vocab.txt lists it: a token's place is its id.
 *
 * @param config What tokenizer_config.json would say, such as `{ do_lower_case: true, model_max_length: 512 }`.
 * @throws {@link GpugradError} when a special token is not in the vocabulary.
 */
export function bertTokenizer(tokens: readonly string[], config: Record<string, unknown> = {}): Tokenizer {
  return new Tokenizer(bertOfVocabulary(tokens, config), config);
}

export const AutoTokenizer = {
  /**
   * Reads the tokenizer of a folder or a repository of the Hub: tokenizer.json, or BERT's vocab.txt, or RoBERTa's vocab.json and merges.txt;
   * tokenizer_config.json; and special_tokens_map.json and added_tokens.json of older folders.
   *
   * @throws {@link GpugradError} when there is none of them, or a file is not what it should be.
   */
  async fromPretrained(idOrFolder: string | Folder, options: HubOptions = {}): Promise<Tokenizer> {
    const folder = await openByName(idOrFolder, options);
    const json = await readJson(folder, "tokenizer.json");
    const config = await readConfig(folder, json);
    if (hasExpressions(json)) await loadTranslator();
    try {
      if (json) return new Tokenizer(json, config);
      const vocabulary = await readText(folder, "vocab.txt");
      if (vocabulary !== undefined) return bertTokenizer(vocabulary.replace(/\r?\n$/, "").split(/\r\n|[\r\n]/), config);
      const [vocab, merges] = [await readJson(folder, "vocab.json"), await readText(folder, "merges.txt")];
      if (vocab && merges !== undefined) {
        const roberta = robertaOfFiles(vocab, merges, config);
        return new Tokenizer(roberta.json, roberta.config);
      }
    } catch (error) {
      if (error instanceof Error) error.message = `${folder.name}: ${error.message}`;
      throw error;
    }
    for (const name of ["spm.model", "spiece.model", "sentencepiece.bpe.model"]) {
      const file = await folder.open(name);
      await file?.close();
      check(
        file === undefined,
        () =>
          `${folder.name}: ${name} without tokenizer.json. Convert it in Python: ` +
          `AutoTokenizer.from_pretrained("${folder.name}").save_pretrained("${folder.name}")`,
      );
    }
    const over = await overBase(folder, options);
    if (over) return AutoTokenizer.fromPretrained(over);
    return check(
      false,
      `${folder.name}: no tokenizer: neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt. Did the tokenizer get saved there?`,
    ) as never;
  },
};

/**
 * tokenizer_config.json, completed by the two files that older versions wrote beside it, which count only where it has no
 * `added_tokens_decoder`.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/tokenization_utils_base.py `_from_pretrained`
 */
async function readConfig(folder: Folder, json: Json | undefined): Promise<Json> {
  const config = (await readJson(folder, "tokenizer_config.json")) ?? {};
  if (config["added_tokens_decoder"] !== undefined) return config;
  const asSpecial = (token: unknown) => (isObject(token) ? { ...token, special: true } : token);
  const extra = "extra_special_tokens";
  config[extra] ??= config["additional_special_tokens"];
  for (const [key, value] of Object.entries((await readJson(folder, "special_tokens_map.json")) ?? {})) {
    if (key !== extra || !Array.isArray(value)) config[key] = asSpecial(value);
    else config[extra] = [...listOf(config[extra]), ...value.map(asSpecial)];
  }
  const added = await readJson(folder, "added_tokens.json");
  if (!added) return config;
  const inJson = new Set(listOf(json?.["added_tokens"]).map(contentOf));
  const named = specialTokens.map((name) => config[name]);
  const specials = new Set([...named, ...listOf(config[extra])].map(contentOf));
  config["added_tokens_decoder"] = Object.fromEntries(
    Object.entries(added)
      .filter(([content]) => !inJson.has(content))
      .map(([content, id]) => {
        check(
          Number.isInteger(id),
          () => `${folder.name}: added_tokens.json: ${JSON.stringify(content)}: expected an id.`,
        );
        return [id, { content, special: specials.has(content) }];
      }),
  );
  return config;
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
