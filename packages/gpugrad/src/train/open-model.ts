import { AutoConfig, dropoutNames, type PretrainedConfig, type PreTrainedModel } from "@gpugrad/bert";
import { addLora, wantsLora } from "./lora.ts";
import type { TrainOptions } from "./options.ts";

/** An Auto class, as far as it opens models here. */
interface Opens<M extends PreTrainedModel> {
  fromConfig(config: PretrainedConfig): M;
  fromPretrained(id: string, options: object): Promise<M>;
}

/**
 * The model that the options name, with these labels and their dropout: its checkpoint, or fresh weights where they say `--from_scratch`;
 * with an adapter where they say `--lora`.
 * @param known its configuration as it was saved
 * @param unused weights that nothing depends on
 */
export async function openModel<M extends PreTrainedModel>(
  Auto: Opens<M>,
  given: TrainOptions,
  known: PretrainedConfig,
  labels: object,
  onReport: (line: string) => void,
  unused?: RegExp,
): Promise<M> {
  const { model: id, dropout, fromScratch, ignoreMismatchedSizes } = given;
  const config = {
    ...labels,
    ...(dropout !== undefined && Object.fromEntries(dropoutNames(known).map((name) => [name, dropout]))),
  };
  if (fromScratch) return Auto.fromConfig(await AutoConfig.fromPretrained(id, config));
  const options = { dtype: "f32", config, onReport, ignoreMismatchedSizes: ignoreMismatchedSizes === true };
  const model = await Auto.fromPretrained(id, options);
  if (wantsLora(given)) await addLora(model, given, unused);
  return model;
}
