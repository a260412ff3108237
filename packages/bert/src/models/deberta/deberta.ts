import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { DebertaConfig } from "./deberta-config.ts";
import { DebertaEmbeddings } from "./embeddings.ts";
import { Encoder, type RelativeEncoder } from "./encoder.ts";

/** What both versions compute: embeddings, then layers that share masks and relative positions. */
export function encode(
  { config, embeddings, encoder }: { config: DebertaConfig; embeddings: DebertaEmbeddings; encoder: RelativeEncoder },
  inputs: ModelInputs,
  options: OutputOptions = {},
): BaseModelOutput {
  const { ids, types, mask } = prepareInputs(inputs, config);
  const shared = encoder.share(ids.shape[1]!, mask);
  return runEncoder(encoder, embeddings.forward(ids, types, shared.tokens), shared, options);
}

/** What DeBERTa's models have in common. */
export abstract class DebertaPreTrainedModel extends PreTrainedModel<DebertaConfig> {
  static override readonly Config = DebertaConfig;
  static override readonly baseModelPrefix = "deberta";
  static override readonly ignoredKeys: RegExp = /position_embeddings/;
}

/**
 * DeBERTa, version 1, without a head: attention that keeps what tokens say apart from where they are.
 * @see https://arxiv.org/abs/2006.03654
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta/modeling_deberta.py (DebertaModel)
 */
export class DebertaModel extends DebertaPreTrainedModel {
  static override readonly architecture = "DebertaModel";
  readonly embeddings: DebertaEmbeddings;
  readonly encoder: Encoder;

  constructor(config: DebertaConfig) {
    super(config);
    this.embeddings = new DebertaEmbeddings(config);
    this.encoder = new Encoder(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    return encode(this, inputs, options);
  }
}
