import type { Target } from "../target.ts";
import { resumeState, seal } from "./checkpoint.ts";
import { csv, datasetCard, gzip, json, jsonl, parquet, tsv } from "./data.ts";
import { hubAnswers } from "./hub.ts";
import { config, safetensors, safetensorsHeader, shardIndex } from "./model-files.ts";
import { serveBodies } from "./serve.ts";
import { encode, html, tokenizerFiles, vocab } from "./text.ts";

/** Every reader of something from outside. */
export const targets: readonly Target[] = [
  ...[safetensors, safetensorsHeader, shardIndex, config],
  ...[tokenizerFiles, vocab, encode, html],
  ...[csv, tsv, json, jsonl, parquet, gzip, datasetCard],
  ...[seal, resumeState, hubAnswers, serveBodies],
];
