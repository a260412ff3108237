// A convolutional net learns digits of 8 × 8 pixels, drawn by this program: shapes, shifted, with noise.
import "@gpugrad/autograd";
import { BatchNorm2d, Conv2d, Linear, MaxPool2d, Module } from "@gpugrad/nn";
import {
  argmax,
  crossEntropy,
  destroy,
  eq,
  flatten,
  fromArray,
  Generator,
  init,
  manualSeed,
  mean,
  relu,
  tensor,
  type Tensor,
} from "@gpugrad/tensor";
import { AdamW, fit } from "@gpugrad/train";

/** 3 × 5 pixels each, row by row. */
const SHAPES = ["75557", "26227", "71747", "71717", "55711", "74717", "74757", "71222", "75757", "75717"];
const rowsOf = (digit: number): number[] => {
  const [a, b, c, d, e] = [...SHAPES[digit]!].map(Number) as [number, number, number, number, number];
  return [a, b, c, d, e];
};

const random = new Generator(1);
const uniform = (): number => random.words(1)[0]! / 2 ** 32;

/** Images [count, 1, 8, 8], and which digits they are. */
function draw(count: number): [images: Tensor, labels: Tensor] {
  const pixels = Float32Array.from({ length: count * 64 }, () => (uniform() - 0.5) * 0.6);
  const labels = Array.from({ length: count }, () => Math.floor(uniform() * 10));
  for (const [i, digit] of labels.entries()) {
    const [down, right] = [Math.floor(uniform() * 4), Math.floor(uniform() * 6)];
    for (const [row, bits] of rowsOf(digit).entries())
      for (let column = 0; column < 3; column++)
        if (bits & (4 >> column)) pixels[i * 64 + (down + row) * 8 + right + column]! += 1;
  }
  return [fromArray(pixels, [count, 1, 8, 8]), tensor(labels, "i32")];
}

class Net extends Module {
  readonly conv1 = new Conv2d(1, 16, 3, { padding: 1 });
  readonly norm1 = new BatchNorm2d(16);
  readonly conv2 = new Conv2d(16, 32, 3, { padding: 1 });
  readonly norm2 = new BatchNorm2d(32);
  readonly pool = new MaxPool2d(2);
  readonly head = new Linear(32 * 4, 10);

  forward(x: Tensor): Tensor {
    const once = this.pool.forward(relu(this.norm1.forward(this.conv1.forward(x))));
    const twice = this.pool.forward(relu(this.norm2.forward(this.conv2.forward(once))));
    return this.head.forward(flatten(twice, { startDim: 1 }));
  }
}

await init();
manualSeed(1);
const net = new Net();
const optimizer = new AdamW(net.namedParameters(), { lr: 0.01 });
const [train, test] = [draw(4800), draw(500)];
const accuracy = (output: Tensor, y: Tensor): Tensor => mean(eq(argmax(output, { dim: 1 }), y));
const epochs = await fit(net, train, {
  loss: crossEntropy,
  optimizer,
  epochs: 2,
  validation: test,
  metrics: { accuracy },
});
console.log(`accuracy ${epochs.at(-1)!.validation!["accuracy"]!.toFixed(3)}`);
optimizer.dispose();
net.dispose();
await destroy();
