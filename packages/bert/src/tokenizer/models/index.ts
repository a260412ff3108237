import { isObject, type Json } from "@gpugrad/nn";
import { Part } from "../stage.ts";
import { bpe } from "./bpe.ts";
import type { Model, Word } from "./model.ts";
import { unigram } from "./unigram.ts";
import { wordLevel } from "./word-level.ts";
import { wordPiece } from "./wordpiece.ts";

const models: Record<string, (part: Part, vocab: ReadonlyMap<string, number>) => Model> = {
  BPE: bpe,
  Unigram: unigram,
  WordLevel: wordLevel,
  WordPiece: wordPiece,
};

/** The type of a model; old files do not say it. */
export function modelType(model: Json): unknown {
  if (model["type"] !== undefined) return model["type"];
  if ("max_input_chars_per_word" in model) return "WordPiece";
  if ("merges" in model) return "BPE";
  return "unk_id" in model ? "Unigram" : "WordLevel";
}

/** @throws {@link GpugradError} */
export function modelOf(json: unknown, vocab: ReadonlyMap<string, number>): Model {
  const type = isObject(json) ? modelType(json) : undefined;
  const part = new Part(isObject(json) ? { ...json, type } : json, "tokenizer.json: model");
  const make = Object.hasOwn(models, part.type) ? models[part.type] : undefined;
  return make ? cached(make(part, vocab)) : part.unknown(Object.keys(models));
}

/** Forgotten when it has grown so large: texts repeat most of their words. */
const maxCachedWords = 200_000;
/** Longer ones are not remembered. */
const maxCachedLength = 200;

function cached(split: Model): Model {
  let words = new Map<string, Word>();
  const known = (word: string): Word => {
    if (word.length > maxCachedLength) return split(word);
    const before = words.get(word);
    if (before) return before;
    const found = split(word);
    if (words.size >= maxCachedWords) words = new Map();
    words.set(Array.from(word).join(""), found); // a copy: a slice would keep the whole text alive
    return found;
  };
  return Object.assign(known, split.inSteps && { inSteps: split.inSteps });
}
