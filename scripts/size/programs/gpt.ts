// A GPT: trains on the tokens of a text, and continues it greedily.
import "@gpugrad/autograd";
import { Embedding, LayerNorm, Linear, Module } from "@gpugrad/nn";
import {
  add,
  argmax,
  crossEntropy,
  init,
  permute,
  reshape,
  scaledDotProductAttention,
  scope,
  slice,
  split,
  tensor,
  type Tensor,
} from "@gpugrad/tensor/functional";
import { AdamW, clipFactor } from "@gpugrad/train";

const [VOCABULARY, LENGTH, WIDTH, HEADS] = [64, 32, 48, 4];

class Block extends Module {
  norm1 = new LayerNorm(WIDTH);
  qkv = new Linear(WIDTH, 3 * WIDTH);
  projection = new Linear(WIDTH, WIDTH);
  norm2 = new LayerNorm(WIDTH);
  up = new Linear(WIDTH, 4 * WIDTH);
  down = new Linear(4 * WIDTH, WIDTH);
  forward(x: Tensor): Tensor {
    const [B, T] = x.shape as [number, number];
    const heads = (t: Tensor) => permute(reshape(t, [B, T, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
    const [q, k, v] = split(this.qkv.forward(this.norm1.forward(x)), WIDTH, { dim: -1 }).map(heads);
    const attended = permute(scaledDotProductAttention(q!, k!, v!, { isCausal: true }), [0, 2, 1, 3]);
    const y = add(x, this.projection.forward(reshape(attended, [B, T, WIDTH])));
    return add(y, this.down.forward(this.up.forward(this.norm2.forward(y), { gelu: "tanh" })));
  }
}

class Gpt extends Module {
  tokens = new Embedding(VOCABULARY, WIDTH);
  positions = new Embedding(LENGTH, WIDTH);
  blocks = [new Block(), new Block()];
  norm = new LayerNorm(WIDTH);
  head = new Linear(WIDTH, VOCABULARY);
  forward(ids: number[][]): Tensor {
    const positions = tensor([ids[0]!.map((_, t) => t)], "i32");
    let x = add(this.tokens.forward(tensor(ids, "i32")), this.positions.forward(positions));
    for (const block of this.blocks) x = block.forward(x);
    return this.head.forward(this.norm.forward(x)); // [B, T, V]
  }
}

await init();
const model = new Gpt();
const optimizer = new AdamW(model.namedParameters(), { lr: 3e-3 });
const text = Array.from({ length: LENGTH + 1 }, (_, i) => (i * i) % VOCABULARY);
for (let step = 0; step < 100; step++) {
  scope(() => {
    const logits = reshape(model.forward([text.slice(0, -1)]), [LENGTH, VOCABULARY]);
    crossEntropy(logits, tensor(text.slice(1), "i32")).backward();
    optimizer.step(clipFactor(optimizer.parameters, 1));
    optimizer.zeroGrad();
  });
}
const ids = text.slice(0, 4);
while (ids.length < LENGTH) {
  const next = argmax(slice(model.forward([ids]), [[], [-1, null]]), { dim: -1 });
  ids.push(await next.item());
}
console.log(ids);
