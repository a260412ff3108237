import "@gpugrad/autograd";
import { Linear, Module } from "@gpugrad/nn";
import { crossEntropy, init, relu, scope, tensor, type Tensor } from "@gpugrad/tensor/functional";
import { AdamW } from "@gpugrad/train";

class Classifier extends Module {
  hidden = new Linear(2, 16);
  output = new Linear(16, 2);
  forward(x: Tensor): Tensor {
    return this.output.forward(relu(this.hidden.forward(x)));
  }
}

await init();
const model = new Classifier();
const optimizer = new AdamW(model.namedParameters(), { lr: 0.05 });
const x = tensor([
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
]);
const labels = tensor([0, 1, 1, 0], "i32");
for (let step = 0; step < 100; step++) {
  scope(() => {
    crossEntropy(model.forward(x), labels).backward();
    optimizer.step();
    optimizer.zeroGrad();
  });
}
console.log(await model.forward(x).toArray());
