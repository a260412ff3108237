import { BertEmbeddings, BertPooler } from "../bert/bert.ts";
import { Encoder } from "../bert/encoder.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { positionsOfTokens } from "../positions.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { RobertaConfig } from "./roberta-config.ts";

/** What RoBERTa's models have in common. */
export abstract class RobertaPreTrainedModel extends PreTrainedModel<RobertaConfig> {
  static override readonly Config = RobertaConfig;
  static override readonly baseModelPrefix = "roberta";
}

/**
 * RoBERTa without a head: BERT whose positions skip padding.
 * @see https://arxiv.org/abs/1907.11692
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/modeling_roberta.py (RobertaModel)
 */
export class RobertaModel extends RobertaPreTrainedModel {
  static override readonly architecture: string = "RobertaModel";
  readonly embeddings: BertEmbeddings;
  readonly encoder: Encoder;
  readonly pooler?: BertPooler;

  /** @param options.addPoolingLayer whether there is a pooler (true unless said otherwise) */
  constructor(config: RobertaConfig, { addPoolingLayer = true }: { addPoolingLayer?: boolean } = {}) {
    super(config);
    this.embeddings = new BertEmbeddings(config, { paddingPosition: config.pad_token_id! });
    this.encoder = new Encoder(config);
    if (addPoolingLayer) this.pooler = new BertPooler(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, types, mask } = prepareInputs(inputs, this.config);
    const embedded = this.embeddings.forward(ids, types, positionsOfTokens(ids, this.config.pad_token_id!));
    return runEncoder(this.encoder, embedded, mask, options, this.pooler);
  }
}
