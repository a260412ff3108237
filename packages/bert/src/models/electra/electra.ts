import { Linear } from "@gpugrad/nn";
import { BertEmbeddings } from "../bert/bert.ts";
import { Encoder } from "../bert/encoder.ts";
import { prepareInputs, type ModelInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { ElectraConfig } from "./electra-config.ts";

/** What ELECTRA's models have in common. */
export abstract class ElectraPreTrainedModel extends PreTrainedModel<ElectraConfig> {
  static override readonly Config = ElectraConfig;
  static override readonly baseModelPrefix = "electra";
}

/**
 * ELECTRA without a head: BERT with narrower embeddings, which are projected to the width of the layers, and without a pooler.
 * @see https://arxiv.org/abs/2003.10555
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/electra/modeling_electra.py (ElectraModel)
 */
export class ElectraModel extends ElectraPreTrainedModel {
  static override readonly architecture = "ElectraModel";
  readonly embeddings: BertEmbeddings;
  readonly embeddings_project?: Linear;
  readonly encoder: Encoder;

  constructor(config: ElectraConfig) {
    super(config);
    const { embedding_size, hidden_size } = config;
    this.embeddings = new BertEmbeddings(config, { size: embedding_size });
    if (embedding_size !== hidden_size) this.embeddings_project = new Linear(embedding_size, hidden_size);
    this.encoder = new Encoder(config);
  }

  /** @throws when ids, types or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    const { ids, types, mask } = prepareInputs(inputs, this.config);
    const embedded = this.embeddings.forward(ids, types);
    return runEncoder(this.encoder, this.embeddings_project?.forward(embedded) ?? embedded, mask, options);
  }
}
