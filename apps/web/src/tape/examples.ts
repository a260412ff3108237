/** What the editor starts with. Each ends with the loss. */
export const TAPE_EXAMPLES: Record<string, string> = {
  "XOR, one step": `const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
const labels = tensor([0, 1, 1, 0], "i32");

manualSeed(1);
const w1 = randn([2, 8]).requireGrad();
const b1 = zeros([8]).requireGrad();
const w2 = randn([8, 2]).requireGrad();

const hidden = x.matmul(w1).add(b1).tanh();
const logits = hidden.matmul(w2);
return crossEntropy(logits, labels);`,
  "Softmax by hand": `// Without taking off the largest element: exp(100) is more than f32 can hold.
// Set 100 to 10, or use x.softmax(), and the NaN is gone.
const x = tensor([[1, 2, 100]]).requireGrad();
const e = x.exp();
const y = e.div(e.sum({ dim: -1, keepdim: true }));
return y.square().sum();`,
  "One layer of BERT": `manualSeed(3);
const layer = new TransformerEncoderLayer(16, 2, { dimFeedforward: 32, dropout: 0, activation: "gelu" });
const x = randn([1, 5, 16]);
return layer.forward(x).square().mean();`,
};
