import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadModule } from "@gpugrad/nn";
import type { Decoder } from "./decoder.ts";
import { GPT2LMHeadModel, type Gpt2Config } from "./gpt2.ts";
import { LlamaForCausalLM, type LlamaConfig } from "./llama.ts";

/** The model in a folder of Hugging Face: config.json and model.safetensors. */
export async function openDecoder(folder: string): Promise<Decoder> {
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as { model_type: string };
  const model =
    config.model_type === "gpt2"
      ? new GPT2LMHeadModel(config as unknown as Gpt2Config)
      : config.model_type === "llama"
        ? new LlamaForCausalLM(config as unknown as LlamaConfig)
        : undefined;
  if (!model) throw new Error(`${folder}: model_type is ${config.model_type}; gpt2 and llama are known here.`);
  await loadModule(model, join(folder, "model.safetensors"));
  return model;
}
