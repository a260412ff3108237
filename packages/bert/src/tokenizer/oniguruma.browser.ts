import { check } from "@gpugrad/tensor";
import type * as node from "./oniguruma.ts";

let translator: typeof node | undefined;

export const loadTranslator: typeof node.loadTranslator = async () => {
  translator ??= await import("./oniguruma.ts");
};

export const toRegExp: typeof node.toRegExp = (source) => {
  check(
    translator,
    "the translator of regular expressions is not loaded. Open the tokenizer with AutoTokenizer.fromPretrained, or await loadTranslator() before new Tokenizer().",
  );
  return translator.toRegExp(source);
};
