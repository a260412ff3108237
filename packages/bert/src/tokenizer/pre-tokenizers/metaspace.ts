import { check } from "@gpugrad/tensor";
import type { Part, Stage } from "../stage.ts";
import { prefixed } from "./byte-level.ts";
import type { Splits } from "./splits.ts";

const schemes = ["always", "first", "never"] as const;

/** What tokenizer.json says of spaces as `▁`, for splitting and for decoding. */
export interface MetaspaceSettings {
  replacement: string;
  scheme: (typeof schemes)[number];
  split: boolean;
}

export function metaspaceSettings(part: Part): MetaspaceSettings {
  const replacement = part.string("replacement", "▁");
  check(
    replacement.length === 1,
    () => `${part.where}.replacement: ${JSON.stringify(replacement)} is not one character.`,
  );
  const addsSpace = part.boolean("add_prefix_space", true);
  return {
    replacement,
    scheme: addsSpace ? part.oneOf("prepend_scheme", schemes, "always") : "never",
    split: part.boolean("split", true),
  };
}

/** Spaces as `▁`, one in front, and words that begin with it. */
export function metaspace({ replacement, scheme, split }: MetaspaceSettings): Stage<Splits> {
  return {
    run({ text: source, bounds }) {
      const text = source.withText(source.text.replaceAll(" ", replacement));
      const isAtStart = (at: number) => text.startOf(at) === 0 || (at === 0 && text.origin === 0);
      const splits =
        scheme === "never"
          ? { text, bounds }
          : prefixed({ text, bounds }, replacement, (at) => scheme === "always" || isAtStart(at));
      return split ? splitBefore(splits, replacement) : splits;
    },
    allows: "words",
    ...(split && { splits: "words" }),
  };
}

function splitBefore({ text, bounds }: Splits, replacement: string): Splits {
  const found: number[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const end = bounds[i + 1]!;
    for (let start = bounds[i]!; start < end;) {
      const next = text.text.indexOf(replacement, start + 1);
      const stop = next < 0 || next > end ? end : next;
      found.push(start, stop);
      start = stop;
    }
  }
  return { text, bounds: found };
}
