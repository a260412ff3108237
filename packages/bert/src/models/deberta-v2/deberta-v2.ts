import { encode } from "../deberta/deberta.ts";
import { DebertaEmbeddings } from "../deberta/embeddings.ts";
import type { ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { DebertaV2Config } from "./deberta-v2-config.ts";
import { Encoder } from "./encoder.ts";

/** What the models of DeBERTa 2 and 3 have in common. */
export abstract class DebertaV2PreTrainedModel extends PreTrainedModel<DebertaV2Config> {
  static override readonly Config = DebertaV2Config;
  static override readonly baseModelPrefix = "deberta";
  static override readonly ignoredKeys: RegExp = /position_embeddings/;
}

/**
 * DeBERTa, versions 2 and 3, without a head.
 * @see https://arxiv.org/abs/2111.09543
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta_v2/modeling_deberta_v2.py (DebertaV2Model)
 */
export class DebertaV2Model extends DebertaV2PreTrainedModel {
  static override readonly architecture = "DebertaV2Model";
  readonly embeddings: DebertaEmbeddings;
  readonly encoder: Encoder;

  constructor(config: DebertaV2Config) {
    super(config);
    this.embeddings = new DebertaEmbeddings(config);
    this.encoder = new Encoder(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    return encode(this, inputs, options);
  }
}
