/** Trains a perceptron for twenty steps, and writes `losses FIRST LAST`. */
export function program(kind: "import" | "require"): string {
  const imported: Record<string, string> = {
    "@gpugrad/autograd": "{ noGrad }",
    "@gpugrad/nn": "{ Linear, Module }",
    "@gpugrad/tensor": "{ crossEntropy, destroy, init, manualSeed, scope, tensor }",
    "@gpugrad/train": "{ AdamW }",
  };
  const head = Object.entries(imported).map(([name, names]) =>
    kind === "import" ? `import ${names} from "${name}";` : `const ${names} = require("${name}");`,
  );
  return `${head.join("\n")}
class Classifier extends Module {
  hidden = new Linear(2, 16);
  output = new Linear(16, 2);
  forward(x) {
    return this.output.forward(this.hidden.forward(x).tanh());
  }
}
export_(async () => {
  await init();
  manualSeed(1);
  const model = new Classifier();
  const optimizer = new AdamW(model.namedParameters(), { lr: 0.05 });
  const x = tensor([[0, 0], [0, 1], [1, 0], [1, 1]]);
  const labels = tensor([0, 1, 1, 0], "i32");
  const losses = [];
  for (let step = 0; step < 20; step++) {
    const loss = await scope(async () => {
      const loss = crossEntropy(model.forward(x), labels);
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.item();
    });
    losses.push(loss);
  }
  noGrad(() => model.forward(x)).dispose();
  await destroy();
  return \`losses \${losses[0]} \${losses.at(-1)}\`;
});
function export_(work) {
  const write = globalThis.report ?? console.log;
  work().then(write, (error) => write("failed: " + (error.stack ?? error)));
}
`;
}

/** What a TypeScript program would write. */
export const consumer = `import { backward, tape } from "@gpugrad/autograd";
import { AutoModelForSequenceClassification, AutoTokenizer } from "@gpugrad/bert";
import { Linear, Module } from "@gpugrad/nn";
import { init, softmax, tensor, type Tensor } from "@gpugrad/tensor";
import * as functional from "@gpugrad/tensor/functional";
import { AdamW, loadDataset, Trainer, type TrainerCallback } from "@gpugrad/train";

class Model extends Module {
  readonly layer = new Linear(2, 3);
  forward(x: Tensor): Tensor {
    return softmax(this.layer.forward(x).relu());
  }
}
const device = await init();
const limit: number = device.gpu.limits.maxBufferSize;
const model = new Model();
const loss = functional.sum(model.forward(tensor([[1, 2]])));
backward(loss);
const optimizer = new AdamW(model.namedParameters(), { lr: 1e-3 });
optimizer.step();
const tokenizer = await AutoTokenizer.fromPretrained("a/b");
const classifier = await AutoModelForSequenceClassification.fromPretrained("a/b");
const callback: TrainerCallback = {};
export { callback, classifier, limit, loadDataset, tape, tokenizer, Trainer };
`;
