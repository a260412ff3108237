import { check } from "@gpugrad/tensor";
import { BertConfig } from "../bert/bert-config.ts";
import { withDefaults } from "../fields.ts";

/**
 * The configuration of RoBERTa: BERT's with other special tokens.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/configuration_roberta.py
 */
export class RobertaConfig extends BertConfig {
  static override readonly modelType: string = "roberta";
  static override readonly fields = withDefaults(BertConfig.fields, {
    ...{ vocab_size: 50265, pad_token_id: 1, bos_token_id: 0, eos_token_id: 2 },
  });

  /** Positions begin after the number of the padding token: 512 tokens have 514 positions. */
  override get maxLength(): number {
    return this.max_position_embeddings - (this.pad_token_id ?? -1) - 1;
  }

  override validate(): void {
    super.validate();
    const { pad_token_id, max_position_embeddings } = this;
    check(
      pad_token_id !== null,
      "config: pad_token_id: null, but the positions of this family are counted from the padding token's number.",
    );
    check(
      this.maxLength > 0,
      () =>
        `config: max_position_embeddings: ${max_position_embeddings} leaves none for tokens, ` +
        `whose positions begin after pad_token_id, ${pad_token_id}.`,
    );
  }
}
