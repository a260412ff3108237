import { isObject } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { Part } from "./stage.ts";
import { isId } from "./tokenizer-json.ts";
import { isWhiteSpace } from "./unicode.ts";

/** A place in the template that post-processing fills: a special token, the first or the second text. */
export interface Slot {
  text?: "A" | "B";
  ids: number[];
  type: number;
}

/** What is done with the tokens of a text, or of two, once they are cut. */
export interface PostProcessor {
  single: Slot[];
  pair: Slot[];
  /** Offsets do not cover spaces at the ends of a token: all but one in front that was added. Left out: they do. */
  trim?: { addPrefixSpace: boolean };
}

/** @throws {@link GpugradError} */
export function postProcessorOf(processor: unknown, idOf: (token: string) => number): PostProcessor {
  const [single, pair] = templatesOf(processor, idOf);
  const trim = trimOf(processor);
  return { single, pair, ...(trim && { trim }) };
}

function trimOf(processor: unknown): PostProcessor["trim"] {
  if (!isObject(processor)) return undefined;
  if (Array.isArray(processor["processors"])) return processor["processors"].map(trimOf).find(Boolean);
  if (processor["type"] !== "ByteLevel" && processor["type"] !== "RobertaProcessing") return undefined;
  const part = new Part(processor, "tokenizer.json: post_processor");
  const addPrefixSpace = part.boolean("add_prefix_space", true);
  return part.boolean("trim_offsets", true) ? { addPrefixSpace } : undefined;
}

/**
 * Takes the spaces at its ends from a token's offsets.
 *
 * @param margins How many there are at each end.
 * @see https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/pre_tokenizers/byte_level.rs `process_offsets`
 */
export function trimOffsets(
  offsets: readonly number[],
  margins: readonly number[],
  { addPrefixSpace }: { addPrefixSpace: boolean },
): number[] {
  const trimmed = Array.from(offsets);
  for (let i = 0; i < offsets.length; i += 2) {
    let [start, end] = [offsets[i]!, offsets[i + 1]!];
    const [leading, trailing] = [margins[i]!, margins[i + 1]!];
    const isOwn = leading === 1 && addPrefixSpace && (i === 0 || start === 0);
    if (!isOwn) start = Math.min(start + leading, end);
    if (end >= trailing) end = Math.max(end - trailing, start);
    [trimmed[i], trimmed[i + 1]] = [start, end];
  }
  return trimmed;
}

/** How many spaces are at each end of a token, `Ġ` being one. */
export function marginsOf(token: string): [leading: number, trailing: number] {
  const isSpace = (character: string) => character === "Ġ" || isWhiteSpace(character);
  const characters = Array.from(token);
  const leading = characters.findIndex((character) => !isSpace(character));
  if (leading < 0) return [characters.length, characters.length];
  return [leading, characters.length - 1 - characters.findLastIndex((character) => !isSpace(character))];
}

/** The templates for one text and for two. */
function templatesOf(processor: unknown, idOf: (token: string) => number): [Slot[], Slot[]] {
  const where = "tokenizer.json: post_processor";
  const text = (name: "A" | "B", type: number): Slot => ({ text: name, ids: [], type });
  const special = (token: string, type: number): Slot => ({ ids: [idOf(token)], type });
  if (processor === undefined || processor === null) return [[text("A", 0)], [text("A", 0), text("B", 1)]];
  if (!isObject(processor)) return new Part(processor, where).unknown([]);
  switch (processor["type"]) {
    case "TemplateProcessing": {
      const tokens = isObject(processor["special_tokens"]) ? processor["special_tokens"] : {};
      const slot = (item: unknown): Slot => {
        const [[kind, value] = []] = isObject(item) ? Object.entries(item) : [];
        const { id, type_id: type = 0 } = isObject(value) ? value : {};
        check(
          (kind === "Sequence" ? id === "A" || id === "B" : kind === "SpecialToken" && typeof id === "string") &&
            isId(type),
          () => `${where}: ${JSON.stringify(item)?.slice(0, 60)} is neither a Sequence A or B nor a SpecialToken.`,
        );
        if (kind === "Sequence") return text(id as "A" | "B", type);
        const token = Object.hasOwn(tokens, id as string) ? tokens[id as string] : undefined;
        const ids = isObject(token) ? token["ids"] : [idOf(id as string)];
        check(
          Array.isArray(ids) && ids.every(isId),
          () => `${where}: special_tokens: "${String(id)}" has no list of ids.`,
        );
        return { ids, type };
      };
      return (["single", "pair"] as const).map((name) => {
        const items = processor[name];
        check(Array.isArray(items), () => `${where}: ${name}: expected a list.`);
        const slots = items.map(slot);
        check(
          name === "pair" || slots.every((filled) => filled.text !== "B"),
          () => `${where}: single: names Sequence B, but there is only one text.`,
        );
        return slots;
      }) as [Slot[], Slot[]];
    }
    case "Sequence": {
      // ByteLevel only trims offsets.
      const parts = new Part(processor, where).parts("processors").filter(({ json }) => json["type"] !== "ByteLevel");
      const [template, ...others] = parts;
      check(
        others.length === 0,
        () => `${where}: processors: more than one that adds special tokens is not supported.`,
      );
      return templatesOf(template?.json, idOf);
    }
    case "BertProcessing":
    case "RobertaProcessing": {
      const [sep, cls] = ["sep", "cls"].map((name) => {
        const pair = processor[name];
        check(
          Array.isArray(pair) && typeof pair[0] === "string",
          () => `${where}: ${name}: expected a token and its id.`,
        );
        return pair[0];
      }) as [string, string];
      const roberta = processor["type"] === "RobertaProcessing"; // two separators between the texts, and one type
      const between = roberta ? [special(sep, 0), special(sep, 0)] : [special(sep, 0)];
      const second = roberta ? 0 : 1;
      return [
        [special(cls, 0), text("A", 0), special(sep, 0)],
        [special(cls, 0), text("A", 0), ...between, text("B", second), special(sep, second)],
      ];
    }
    case "ByteLevel":
      return [[text("A", 0)], [text("A", 0), text("B", 1)]];
    default: {
      const known = ["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"];
      return new Part(processor, where).unknown(known);
    }
  }
}
