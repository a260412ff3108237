import type { Json } from "@gpugrad/nn";
import { check, GpugradError } from "@gpugrad/tensor";
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { withinTime } from "#time-limit";
import type { Pieces } from "./pipeline.ts";

/** Far more than the library takes, where no regular expression of the file backtracks without end. */
const [baseMilliseconds, millisecondsPerUnit] = [1000, 0.05];

/**
 * `@huggingface/tokenizers` on a tokenizer.json, whose contents it trusts. Here whatever it throws names the file and, in Node, its
 * work on a text is stopped when it takes too long.
 */
export class LibraryTokenizer {
  readonly #library: HubTokenizer;

  /** @throws {@link GpugradError} for whatever the library can't make sense of */
  constructor(json: Json, config: Json) {
    const parts = { pre_tokenizer: null, normalizer: null, post_processor: null, decoder: null, ...json };
    this.#library = named("read it", () => new HubTokenizer(parts, { ...config, additional_special_tokens: [] }));
  }

  get vocabSize(): number {
    return this.#library.model!.tokens_to_ids.size;
  }
  tokenToId(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }
  idToToken(id: number): string | undefined {
    return this.#library.id_to_token(id);
  }

  /** All tokens of a text at once: the library does not know where they are. @throws {@link GpugradError} */
  *tokenize(text: string, { ids }: Pieces): Generator<void> {
    yield;
    const encode = () => this.#library.encode(text, { add_special_tokens: false }).ids;
    const found = named("encode with it", () => withinTime(limit(text.length), encode));
    check(found.every(Number.isInteger), "tokenizer.json: model: no id for an unknown word. Is unk_token in vocab?");
    for (const id of found) ids.push(id);
  }

  /** @throws {@link GpugradError} */
  decode(ids: number[], cleanUp: boolean): string {
    const options = { skip_special_tokens: false, clean_up_tokenization_spaces: cleanUp };
    const decode = () => this.#library.decode(ids, options);
    return named("decode with it", () => withinTime(limit(ids.length), decode));
  }
}

const limit = (units: number): number => Math.ceil(baseMilliseconds + units * millisecondsPerUnit);

function named<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GpugradError(`tokenizer.json: @huggingface/tokenizers can't ${what}: ${reason}`);
  }
}
