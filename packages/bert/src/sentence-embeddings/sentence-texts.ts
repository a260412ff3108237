import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { SentenceSettings } from "./settings.ts";

/** What is tokenized in place of a text, and how many tokens its prompt has, [CLS] included. */
export interface SentenceTexts {
  prepare: (text: string) => string;
  promptLength: number;
}

export function sentenceTexts(
  { prompt, lowerCase }: Pick<SentenceSettings, "prompt" | "lowerCase">,
  tokenizer: Tokenizer,
): SentenceTexts {
  const tokens = tokenizer.encode(prompt).input_ids;
  return {
    prepare: (text) => (lowerCase ? (prompt + text).toLowerCase() : prompt + text),
    promptLength: prompt === "" ? 0 : tokens.length - (tokens.at(-1) === tokenizer.sepTokenId ? 1 : 0),
  };
}
