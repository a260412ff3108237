// GPT-2, as Hugging Face names it: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/gpt2/modeling_gpt2.py
import { Embedding, initializers, LayerNorm, Module, parameter } from "@gpugrad/nn";
import { add, chunk, gelu, linear, matmul, type Tensor } from "@gpugrad/tensor";
import { attend, Decoder, ids, merge, split, visible, type DecoderInputs, type DecoderOutput } from "./decoder.ts";

/** The fields of its config.json that are read. */
export interface Gpt2Config {
  vocab_size: number;
  n_positions: number;
  n_embd: number;
  n_head: number;
  n_layer: number;
  layer_norm_epsilon?: number;
}

/** x · weight + bias with weight [in, out]: a linear layer the other way round, which is how GPT-2 was published. */
class Conv1D extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  constructor(inputs: number, outputs: number) {
    super();
    this.weight = parameter([inputs, outputs], (w) => initializers.normal(w, { std: 0.02 }));
    this.bias = parameter([outputs], "zeros");
  }
  forward = (x: Tensor): Tensor => add(matmul(x, this.weight), this.bias);
}

class Attention extends Module {
  readonly c_attn: Conv1D;
  readonly c_proj: Conv1D;
  readonly #heads: number;
  constructor({ n_embd, n_head }: Gpt2Config) {
    super();
    this.c_attn = new Conv1D(n_embd, 3 * n_embd);
    this.c_proj = new Conv1D(n_embd, n_embd);
    this.#heads = n_head;
  }
  forward(x: Tensor, mask: Tensor, into?: Tensor[]): Tensor {
    const [q, k, v] = chunk(this.c_attn.forward(x), 3, { dim: -1 }).map((t) => split(t, this.#heads));
    return this.c_proj.forward(merge(attend(q!, k!, v!, mask, into)));
  }
}

class FeedForward extends Module {
  readonly c_fc: Conv1D;
  readonly c_proj: Conv1D;
  constructor({ n_embd }: Gpt2Config) {
    super();
    this.c_fc = new Conv1D(n_embd, 4 * n_embd);
    this.c_proj = new Conv1D(4 * n_embd, n_embd);
  }
  forward = (x: Tensor): Tensor => this.c_proj.forward(gelu(this.c_fc.forward(x), { approximate: "tanh" }));
}

class Block extends Module {
  readonly ln_1: LayerNorm;
  readonly attn: Attention;
  readonly ln_2: LayerNorm;
  readonly mlp: FeedForward;
  constructor(config: Gpt2Config) {
    super();
    this.ln_1 = new LayerNorm(config.n_embd, config.layer_norm_epsilon);
    this.attn = new Attention(config);
    this.ln_2 = new LayerNorm(config.n_embd, config.layer_norm_epsilon);
    this.mlp = new FeedForward(config);
  }
  forward(x: Tensor, mask: Tensor, into?: Tensor[]): Tensor {
    const attended = add(x, this.attn.forward(this.ln_1.forward(x), mask, into));
    return add(attended, this.mlp.forward(this.ln_2.forward(attended)));
  }
}

class Transformer extends Module {
  readonly wte: Embedding;
  readonly wpe: Embedding;
  readonly h: Block[];
  readonly ln_f: LayerNorm;
  constructor(config: Gpt2Config) {
    super();
    this.wte = new Embedding(config.vocab_size, config.n_embd);
    this.wpe = new Embedding(config.n_positions, config.n_embd);
    for (const table of [this.wte, this.wpe]) initializers.normal(table.weight, { std: 0.02 });
    this.h = Array.from({ length: config.n_layer }, () => new Block(config));
    this.ln_f = new LayerNorm(config.n_embd, config.layer_norm_epsilon);
  }
}

export class GPT2LMHeadModel extends Decoder {
  readonly transformer: Transformer;
  constructor(config: Gpt2Config) {
    super();
    this.transformer = new Transformer(config);
  }

  forward(inputs: DecoderInputs, options: { attentions?: boolean } = {}): DecoderOutput {
    const { wte, wpe, h, ln_f } = this.transformer;
    const positions = inputs.position_ids ?? [inputs.input_ids[0]!.map((_, t) => t)];
    const mask = visible(inputs);
    const attentions: Tensor[] = [];
    const hidden_states = [add(wte.forward(ids(inputs.input_ids)), wpe.forward(ids(positions)))];
    for (const block of h)
      hidden_states.push(block.forward(hidden_states.at(-1)!, mask, options.attentions ? attentions : undefined));
    hidden_states.push(ln_f.forward(hidden_states.pop()!)); // the last one is given after the norm
    return { logits: linear(hidden_states.at(-1)!, wte.weight), hidden_states, attentions }; // the head is tied to the embedding
  }
}
