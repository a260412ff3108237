import { isObject, readJson, readText, type Folder, type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { openByName, type HubOptions } from "../opener.ts";
import { contentOf, specialTokens, tokenizerOfVocabulary } from "./tokenizer-json.ts";
import { Tokenizer } from "./tokenizer.ts";

/**
 * BERT's tokenizer over a vocabulary, as a vocab.txt lists it: a token's place is its id.
 *
 * @param config What tokenizer_config.json would say, such as `{ do_lower_case: true, model_max_length: 512 }`.
 * @throws {@link GpugradError} when a special token is not in the vocabulary.
 */
export function bertTokenizer(tokens: readonly string[], config: Record<string, unknown> = {}): Tokenizer {
  return new Tokenizer(tokenizerOfVocabulary(tokens, config), config);
}

export const AutoTokenizer = {
  /**
   * Reads the tokenizer of a folder or a repository of the Hub: tokenizer.json, or BERT's vocab.txt; tokenizer_config.json; and
   * special_tokens_map.json and added_tokens.json of older folders.
   *
   * @throws {@link GpugradError} when there is neither tokenizer.json nor vocab.txt, or a file is not what it should be.
   */
  async fromPretrained(idOrFolder: string | Folder, options: HubOptions = {}): Promise<Tokenizer> {
    const folder = await openByName(idOrFolder, options);
    const json = await readJson(folder, "tokenizer.json");
    const vocab = json ? undefined : await readText(folder, "vocab.txt");
    check(
      json ?? vocab !== undefined,
      () => `${folder.name}: no tokenizer: neither tokenizer.json nor vocab.txt. Did the tokenizer get saved there?`,
    );
    const config = await readConfig(folder, json);
    try {
      return json
        ? new Tokenizer(json, config)
        : bertTokenizer(vocab!.replace(/\r?\n$/, "").split(/\r\n|[\r\n]/), config);
    } catch (error) {
      if (error instanceof Error) error.message = `${folder.name}: ${error.message}`;
      throw error;
    }
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
