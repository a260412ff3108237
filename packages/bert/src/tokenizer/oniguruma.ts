import { toRegExp as translate } from "oniguruma-to-es";

/** An expression of Oniguruma, which the Rust tokenizers use, as one of JavaScript. @throws where it can't be read */
export const toRegExp = (source: string): RegExp => translate(source, { global: true });

/** A browser loads the translator when it is needed: 60 kB that BERT's own tokenizers do without. */
export const loadTranslator = (): Promise<void> => Promise.resolve();
