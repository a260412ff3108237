import { AutoConfig, dropoutNames, type PretrainedConfig, type PreTrainedModel } from "@gpugrad/bert";
import type { TrainOptions } from "./options.ts";

/** An Auto class, as far as it opens models here. */
interface Opens<M extends PreTrainedModel> {
  fromConfig(config: PretrainedConfig): M;
  fromPretrained(id: string, options: object): Promise<M>;
}

/**
 * The model that the options name, with these labels and their dropout: its checkpoint, or fresh weights where they say `--from_scratch`.
 * @param known its configuration as it was saved
 */
export async function openModel<M extends PreTrainedModel>(
  Auto: Opens<M>,
  { model: id, dropout, fromScratch, ignoreMismatchedSizes }: TrainOptions,
  known: PretrainedConfig,
  labels: object,
  onReport: (line: string) => void,
): Promise<M> {
  const config = {
    ...labels,
    ...(dropout !== undefined && Object.fromEntries(dropoutNames(known).map((name) => [name, dropout]))),
  };
  if (fromScratch) return Auto.fromConfig(await AutoConfig.fromPretrained(id, config));
  const options = { dtype: "f32", config, onReport, ignoreMismatchedSizes: ignoreMismatchedSizes === true };
  return Auto.fromPretrained(id, options);
}
