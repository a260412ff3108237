import { type Json } from "@gpugrad/nn";
import { check } from "@gpugrad/tensor";
import { poolingModes, type SentenceSettings } from "./settings.ts";

const modulesOf = (kinds: readonly string[]): Json[] =>
  kinds.map((kind, idx) => ({
    ...{ idx, name: String(idx), path: idx === 0 ? "" : `${idx}_${kind}` },
    type: `sentence_transformers.models.${kind}`,
  }));

/**
 * The files, by their names, that describe to sentence-transformers (and `readSentenceSettings`) how a model's embeddings are made. They belong beside
 * those of the model and of its tokenizer.
 * @throws for settings with layers of their own: these have weights
 */
export function sentenceFiles(settings: SentenceSettings, hiddenSize: number): Record<string, unknown> {
  const { modes, dense, normalize, maxLength = null, lowerCase, prompt, includePrompt } = settings;
  check(dense.length === 0, "sentenceFiles: layers after the pooling (Dense) can't be saved.");
  const switches = Object.entries(poolingModes).map(([mode, name]) => [name, modes.some((own) => own === mode)]);
  return {
    "modules.json": modulesOf(["Transformer", "Pooling", ...(normalize ? ["Normalize"] : [])]),
    "1_Pooling/config.json": {
      word_embedding_dimension: hiddenSize,
      ...(Object.fromEntries(switches) as Json),
      include_prompt: includePrompt,
    },
    "sentence_bert_config.json": { max_seq_length: maxLength, do_lower_case: lowerCase },
    "config_sentence_transformers.json": {
      ...(prompt === "" ? { prompts: {}, default_prompt_name: null } : { prompts: { default: prompt }, default_prompt_name: "default" }), // prettier-ignore
      similarity_fn_name: "cosine",
    },
  };
}
