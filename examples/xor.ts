// The README's example: a network of two layers learns exclusive or.
import "@gpugrad/autograd"; // records what is computed
import { crossEntropy, destroy, init, keep, randn, scope, tensor } from "@gpugrad/tensor";
import { AdamW } from "@gpugrad/train";

await init(); // a GPU, or else the CPU
const x = tensor([0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1]).reshape([4, 3]); // two inputs, and a 1 for the bias
const y = tensor([0, 1, 1, 0], "i32"); // exclusive or
const w1 = keep(randn([3, 16])).requireGrad();
const w2 = keep(randn([16, 2])).requireGrad();
const optimizer = new AdamW(Object.entries({ w1, w2 }), { lr: 0.05 });
for (let step = 0; step < 100; step++) {
  // What is made inside a scope goes back to the pool when it ends.
  scope(() => {
    crossEntropy(x.matmul(w1).gelu().matmul(w2), y).backward();
    optimizer.step();
    optimizer.zeroGrad();
  });
}
console.log(await x.matmul(w1).gelu().matmul(w2).argmax({ dim: 1 }).toArray()); // [ 0, 1, 1, 0 ]
await destroy();
