import { PeftModel, type PreTrainedModel } from "@gpugrad/bert";

/** A model's adapter in words: `LoRA of rank 8, alpha 16, on query, value`; undefined where it has none. */
export function adapterOf(model: PreTrainedModel): string | undefined {
  const peft = PeftModel.of(model);
  if (!peft) return undefined;
  const { r, lora_alpha, lora_dropout, target_modules, use_rslora, use_dora } = peft.configOf().values;
  const kind = `${use_rslora ? "rs" : ""}${use_dora ? "DoRA" : "LoRA"}`;
  const dropout = lora_dropout > 0 ? `, dropout ${lora_dropout}` : "";
  return `${kind} of rank ${r}, alpha ${lora_alpha}${dropout}, on ${[target_modules].flat().join(", ")}`;
}
