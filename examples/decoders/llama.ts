// Llama, as Hugging Face names it: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/llama/modeling_llama.py
import { Embedding, Linear, Module, RMSNorm } from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import type { RotaryAngles, Tensor } from "@gpugrad/tensor";
import { attend, Decoder, ids, merge, split, visible, type DecoderInputs, type DecoderOutput } from "./decoder.ts";

/** The fields of its config.json that are read. */
export interface LlamaConfig {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim?: number;
  rms_norm_eps: number;
  tie_word_embeddings?: boolean;
  rope_theta?: number;
  /** Where Transformers 5 writes it. */
  rope_parameters?: { rope_theta: number };
}

const headDim = ({ head_dim, hidden_size, num_attention_heads }: LlamaConfig): number =>
  head_dim ?? hidden_size / num_attention_heads;

/** Each key head in place as often as query heads read it. */
function repeated(x: Tensor, times: number): Tensor {
  const [B, H, T, D] = x.shape as [number, number, number, number];
  return g.reshape(g.expand(g.unsqueeze(x, 2), [B, H, times, T, D]), [B, H * times, T, D]);
}

class Attention extends Module {
  readonly q_proj: Linear<false>;
  readonly k_proj: Linear<false>;
  readonly v_proj: Linear<false>;
  readonly o_proj: Linear<false>;
  readonly #heads: number;
  readonly #keyHeads: number;
  constructor(config: LlamaConfig) {
    super();
    const { hidden_size, num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
    const D = headDim(config);
    this.q_proj = new Linear(hidden_size, heads * D, false);
    this.k_proj = new Linear(hidden_size, keyHeads * D, false);
    this.v_proj = new Linear(hidden_size, keyHeads * D, false);
    this.o_proj = new Linear(heads * D, hidden_size, false);
    this.#heads = heads;
    this.#keyHeads = keyHeads;
  }
  forward(x: Tensor, { cosine, sine }: RotaryAngles, mask: Tensor, into?: Tensor[]): Tensor {
    const turned = (t: Tensor, heads: number): Tensor => {
      const byHead = g.reshape(t, [t.shape[0]!, t.shape[1]!, heads, -1]);
      return g.permute(g.rotary(byHead, cosine, sine), [0, 2, 1, 3]);
    };
    const times = this.#heads / this.#keyHeads;
    const q = turned(this.q_proj.forward(x), this.#heads);
    const k = repeated(turned(this.k_proj.forward(x), this.#keyHeads), times);
    const v = repeated(split(this.v_proj.forward(x), this.#keyHeads), times);
    return this.o_proj.forward(merge(attend(q, k, v, mask, into)));
  }
}

class FeedForward extends Module {
  readonly gate_proj: Linear<false>;
  readonly up_proj: Linear<false>;
  readonly down_proj: Linear<false>;
  constructor({ hidden_size, intermediate_size }: LlamaConfig) {
    super();
    this.gate_proj = new Linear(hidden_size, intermediate_size, false);
    this.up_proj = new Linear(hidden_size, intermediate_size, false);
    this.down_proj = new Linear(intermediate_size, hidden_size, false);
  }
  forward = (x: Tensor): Tensor =>
    this.down_proj.forward(g.mul(g.silu(this.gate_proj.forward(x)), this.up_proj.forward(x)));
}

class Layer extends Module {
  readonly input_layernorm: RMSNorm;
  readonly self_attn: Attention;
  readonly post_attention_layernorm: RMSNorm;
  readonly mlp: FeedForward;
  constructor(config: LlamaConfig) {
    super();
    this.input_layernorm = new RMSNorm(config.hidden_size, config.rms_norm_eps);
    this.self_attn = new Attention(config);
    this.post_attention_layernorm = new RMSNorm(config.hidden_size, config.rms_norm_eps);
    this.mlp = new FeedForward(config);
  }
  forward(x: Tensor, angles: RotaryAngles, mask: Tensor, into?: Tensor[]): Tensor {
    const attended = g.add(x, this.self_attn.forward(this.input_layernorm.forward(x), angles, mask, into));
    return g.add(attended, this.mlp.forward(this.post_attention_layernorm.forward(attended)));
  }
}

class Stack extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: Layer[];
  readonly norm: RMSNorm;
  constructor(config: LlamaConfig) {
    super();
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size);
    this.layers = Array.from({ length: config.num_hidden_layers }, () => new Layer(config));
    this.norm = new RMSNorm(config.hidden_size, config.rms_norm_eps);
  }
}

export class LlamaForCausalLM extends Decoder {
  readonly model: Stack;
  readonly lm_head: Linear<false> | undefined; // else tied to the embedding
  readonly #config: LlamaConfig;
  constructor(config: LlamaConfig) {
    super();
    this.model = new Stack(config);
    this.lm_head = config.tie_word_embeddings ? undefined : new Linear(config.hidden_size, config.vocab_size, false);
    this.#config = config;
  }

  /** Positions count from the first token, padding included: only how far tokens are apart matters. */
  forward(inputs: DecoderInputs, options: { attentions?: boolean } = {}): DecoderOutput {
    const { embed_tokens, layers, norm } = this.model;
    const { rope_parameters, rope_theta = 10_000 } = this.#config;
    const theta = rope_parameters?.rope_theta ?? rope_theta;
    const angles = g.rotaryAngles(inputs.input_ids[0]!.length, headDim(this.#config), { theta });
    const mask = visible(inputs);
    const attentions: Tensor[] = [];
    const hidden_states = [embed_tokens.forward(ids(inputs.input_ids))];
    for (const layer of layers) {
      const into = options.attentions ? attentions : undefined;
      hidden_states.push(layer.forward(hidden_states.at(-1)!, angles, mask, into));
    }
    hidden_states.push(norm.forward(hidden_states.pop()!)); // the last one is given after the norm
    const last = hidden_states.at(-1)!;
    return { logits: this.lm_head?.forward(last) ?? g.linear(last, embed_tokens.weight), hidden_states, attentions };
  }
}
