import { noGrad } from "@gpugrad/autograd";
import { openFolder, PeftModel, type FromPretrainedOptions, type PreTrainedModel } from "@gpugrad/bert";
import { scope } from "@gpugrad/tensor";
import { join, readJson, valuesOf, withTensors } from "./files.ts";
import { classOf, compareAll, readInputs, type Model } from "./any-model.ts";
import type { Check, Values } from "./tolerance.ts";

/** What reference.json says of adapters of PEFT. */
interface Reference {
  base_model: string;
  tensors: Record<string, { atol: number }>;
  /** Several adapters in sub-folders, and combinations of them. */
  adapters?: Record<string, unknown>;
  blend?: Combination;
  chain?: Combination;
}
interface Combination {
  of: string[];
  weights: number[];
  combination_type: "linear" | "cat";
}

/** The key that a parameter has in an adapter's file. */
export const keyInFile = (key: string): string =>
  `base_model.model.${key.replace(/(\.lora_\w+)\.[\w-]+(?=\.|$)/, "$1")}`;

export async function openBase(folder: string): Promise<Model> {
  const { architectures } = readJson<{ architectures: string[] }>(join(folder, "config.json"));
  const options: FromPretrainedOptions = { dtype: "f32", onReport: () => undefined };
  return (await classOf(architectures[0]!)!.fromPretrained(folder, options)) as Model;
}

/** Logits, loss, gradients under the file's keys and merged weights of a folder of adapters. */
export async function adapters(dir: string, name: string): Promise<Check[]> {
  const folder = join(dir, name);
  const reference = readJson<Reference>(join(folder, "reference.json"));
  const model = await openBase(join(dir, reference.base_model));
  const peft = new PeftModel(model);
  const inputs = readInputs(join(folder, "inputs.json"));
  const got = new Map<string, Values>();

  /** The active adapters' numbers, each name after `before`. */
  const measure = async (before: string, adapters: string[]): Promise<void> => {
    peft.setAdapter(adapters);
    model.zeroGrad();
    await scope(async () => {
      const out = model.forward(inputs);
      out.loss!.backward();
      for (const key of ["logits", "loss"] as const) got.set(`${before}${key}`, await valuesOf(out[key]!));
    });
    for (const [key, { grad }] of model.namedParameters())
      if (grad) got.set(`${before}grad.${keyInFile(key)}`, await valuesOf(grad));
  };
  const logits = async (before: string): Promise<void> =>
    scope(async () => void got.set(`${before}logits`, await valuesOf(noGrad(() => model.forward(inputs)).logits!)));
  /** Afterwards the model has no adapters any more. */
  const merged = async (before: string): Promise<void> => {
    peft.mergeAndUnload();
    await logits(`${before}merged_`);
    for (const [key, parameter] of model.namedTensors()) got.set(`${before}merged.${key}`, await valuesOf(parameter));
  };

  try {
    if (!reference.adapters) {
      await peft.loadAdapter(await openFolder(folder), "default", { isTrainable: true });
      await measure("", ["default"]);
      await merged("");
    } else {
      const names = Object.keys(reference.adapters);
      for (const adapter of names) await peft.loadAdapter(await openFolder(join(folder, adapter)), adapter);
      for (const adapter of names) await measure(`${adapter}.`, [adapter]);
      for (const kind of ["blend", "chain"] as const) {
        const { of, weights, combination_type } = reference[kind]!;
        peft.addWeightedAdapter(of, weights, kind, combination_type);
        await measure(`${kind}.`, [kind]);
      }
      peft.setAdapter([]);
      await logits("none.");
      await measure("first+second.", ["first", "second"]);
      await merged("first+second.");
    }
    return await withTensors(join(folder, "reference.safetensors"), (golden) =>
      compareAll(got, reference.tensors, golden),
    );
  } finally {
    (model as PreTrainedModel).dispose();
  }
}
