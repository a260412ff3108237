import { beginWith, Dropout, Embedding, initialize, maskedBias, Module, type LayerNorm } from "@gpugrad/nn";
import { abs, countUp, le, reshape, rotaryAngles, sub, zeros, type Tensor } from "@gpugrad/tensor";
import { prepareInputs, type ModelInputs, type PreparedInputs } from "../inputs.ts";
import type { BaseModelOutput, OutputOptions } from "../outputs.ts";
import { PreTrainedModel } from "../pretrained.ts";
import { runEncoder } from "../run-encoder.ts";
import { truncated } from "./initializers.ts";
import { Layers, newNorm, type SharedByLayers } from "./layers.ts";
import { ModernBertConfig, type LayerType } from "./modernbert-config.ts";

/** Word embeddings, then layer norm and dropout: positions come in attention, and token types do not exist. */
class Embeddings extends Module {
  readonly tok_embeddings: Embedding;
  readonly norm: LayerNorm;
  readonly drop: Dropout;

  constructor(config: ModernBertConfig) {
    super();
    this.tok_embeddings = new Embedding(config.vocab_size, config.hidden_size, config.pad_token_id ?? undefined);
    beginWith(this.tok_embeddings.weight, truncated(config, "embedding"));
    this.norm = newNorm(config);
    this.drop = new Dropout(config.embedding_dropout);
  }

  /** @param ids [B, T] @returns [B, T, C] */
  forward(ids: Tensor): Tensor {
    return this.drop.forward(this.norm.forward(this.tok_embeddings.forward(ids)));
  }
}

/** What ModernBERT's models have in common. */
export abstract class ModernBertPreTrainedModel extends PreTrainedModel<ModernBertConfig> {
  static override readonly Config = ModernBertConfig;
  static override readonly baseModelPrefix = "model";

  /** Each weight begins as its part says. */
  protected override initWeight(_part: Module, _name: string, parameter: Tensor): void {
    initialize(parameter);
  }
}

/**
 * ModernBERT without a head: rotary positions, gated feed-forwards, norms before rather than after, and layers most of which attend to a
 * window only.
 * @see https://arxiv.org/abs/2412.13663
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/modernbert/modeling_modernbert.py (ModernBertModel)
 */
export class ModernBertModel extends ModernBertPreTrainedModel {
  static override readonly architecture = "ModernBertModel";
  readonly embeddings: Embeddings;
  readonly layers: Layers;
  readonly final_norm: LayerNorm;

  constructor(config: ModernBertConfig) {
    super(config);
    this.embeddings = new Embeddings(config);
    this.layers = new Layers(config);
    this.final_norm = newNorm(config);
  }

  /** @throws when ids or the length are beyond what the config allows */
  forward(inputs: ModelInputs, options: OutputOptions = {}): BaseModelOutput {
    return this.compute(prepareInputs(inputs, this.config), options);
  }

  /** {@link forward} of inputs that are on the device. The last of the hidden states is normalized. */
  compute({ ids, mask }: PreparedInputs, options: OutputOptions = {}): BaseModelOutput {
    const shared = this.#sharedByLayers(ids.shape[1]!, mask);
    const out = runEncoder(this.layers, this.embeddings.forward(ids), shared, options);
    const last_hidden_state = this.final_norm.forward(out.last_hidden_state);
    const hidden_states = options.outputHiddenStates ? [...out.hidden_states.slice(0, -1), last_hidden_state] : [];
    return { ...out, last_hidden_state, hidden_states };
  }

  #sharedByLayers(T: number, mask: Tensor | undefined): SharedByLayers {
    const { rope_parameters, hidden_size, num_attention_heads, reach } = this.config;
    const angles = (type: LayerType) =>
      rotaryAngles(T, hidden_size / num_attention_heads, { theta: rope_parameters[type].rope_theta });
    const [full, sliding] = [angles("full_attention"), angles("sliding_attention")];
    return {
      mask,
      windows: mask && windowBias(T, reach, mask),
      full_attention_cosine: full.cosine,
      full_attention_sine: full.sine,
      sliding_attention_cosine: sliding.cosine,
      sliding_attention_sine: sliding.sine,
    };
  }
}

/** 0 where a key is seen, at most `each` from the query, else float32's lowest; undefined where the window has room for all T tokens. */
function windowBias(T: number, each: number, mask: Tensor): Tensor | undefined {
  if (T - 1 <= each) return undefined;
  const places = countUp(T);
  const isNear = le(abs(sub(reshape(places, [T, 1]), places)), each);
  return maskedBias(maskedBias(zeros([1, 1, T, T]), isNear), mask);
}
