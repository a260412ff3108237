import {
  AutoModel,
  poolTokens,
  readSentenceSettings,
  sentenceTexts,
  sizesOf,
  type BaseModel,
  type SentenceSettings,
} from "@gpugrad/bert";
import { loading, refuseMissing } from "./missing-weights.ts";
import type { Task } from "./text-model.ts";

/** A model with what its folder says about embeddings. */
export interface Embedder {
  readonly config: BaseModel["config"];
  readonly model: BaseModel;
  readonly settings: SentenceSettings;
}

/** A text's vector, of the pooled vectors of its tokens. */
export interface EmbeddingTask extends Task<Embedder> {
  /** What the folder says; once it is open. */
  settings(): SentenceSettings;
}

/** The vector scaled to length 1. */
export function normalized(vector: Float32Array): number[] {
  const length = Math.max(Math.hypot(...vector), 1e-12);
  return Array.from(vector, (v) => v / length);
}

/**
 * A vector for each text, made as the folder's sentence-transformers files say; else the mean over its tokens. It is not yet scaled.
 * @param isExact whether its length counts, though the folder says that it is scaled to 1
 */
export function sentenceEmbeddings({ isExact = false } = {}): EmbeddingTask {
  let settings: SentenceSettings | undefined;
  let promptLength = 0; // in tokens, [CLS] included
  return {
    settings: () => settings!,
    async open(folder, options) {
      const model = refuseMissing(await AutoModel.fromPretrained(folder, loading(options)), options, {
        unused: /^pooler\./,
      });
      settings = await readSentenceSettings(folder, sizesOf(model.config).hidden_size!);
      return { config: model.config, model, settings };
    },
    texts({ settings }, tokenizer) {
      const texts = sentenceTexts(settings, tokenizer);
      promptLength = texts.promptLength;
      return { maxLength: settings.maxLength, prepare: texts.prepare };
    },
    compute({ model, settings }, inputs, batch) {
      if (batch[0]!.allTokens) return model.forward(inputs).last_hidden_state;
      const mask = inputs["attention_mask"]?.data ?? inputs.input_ids.data.map(() => 1); // without padding there is none
      const own = isExact ? { ...settings, normalize: false } : settings;
      return poolTokens(model.forward(inputs).last_hidden_state, mask, own, promptLength);
    },
  };
}
