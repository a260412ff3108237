// A recurrent net learns to add: of eight numbers in a row two are marked, and their sum is asked for at the end. What it has to do is
// remember, which a net that guesses 1 each time can't: its error is 0.167, the variance of the sum.
import "@gpugrad/autograd";
import { GRU, Linear, Module } from "@gpugrad/nn";
import { destroy, fromArray, Generator, init, manualSeed, mseLoss, reshape, scope, select, type Tensor } from "@gpugrad/tensor"; // prettier-ignore
import { AdamW, clipFactor } from "@gpugrad/train";

const [B, T] = [64, 8];
const random = new Generator(2);
const uniform = (): number => random.words(1)[0]! / 2 ** 32;

/** Rows [B, T, 2] of a number and a mark, and the sums [B, 1]. */
function draw(): { x: Tensor; sums: Tensor } {
  const x = new Float32Array(B * T * 2);
  const sums = new Float32Array(B);
  for (let b = 0; b < B; b++) {
    const first = Math.floor((uniform() * T) / 2); // one in each half
    const second = Math.floor(((1 + uniform()) * T) / 2);
    for (let t = 0; t < T; t++) {
      const [number, marked] = [uniform(), t === first || t === second];
      x.set([number, Number(marked)], (b * T + t) * 2);
      if (marked) sums[b]! += number;
    }
  }
  return { x: fromArray(x, [B, T, 2]), sums: fromArray(sums, [B, 1]) };
}

class Adder extends Module {
  readonly gru = new GRU(2, 24, { batchFirst: true });
  readonly head = new Linear(24, 1);

  /** @param x [B, T, 2] @returns the sum of the marked numbers of each row, [B, 1] */
  forward(x: Tensor): Tensor {
    const [, last] = this.gru.forward(x);
    return this.head.forward(reshape(select(last, 0, -1), [B, 24]));
  }
}

await init();
manualSeed(1);
const model = new Adder();
const optimizer = new AdamW(model.namedParameters(), { lr: 0.01, weightDecay: 0 });

const lossOf = ({ x, sums }: { x: Tensor; sums: Tensor }): Tensor => mseLoss(model.forward(x), sums);
for (let step = 0; step < 200; step++) {
  scope(() => {
    lossOf(draw()).backward();
    optimizer.step(clipFactor(optimizer.parameters, 1)); // long products of matrices may explode
    optimizer.zeroGrad();
  });
}
const loss = scope(() => lossOf(draw()).detach());
console.log(`error ${(await loss.item()).toFixed(4)}`);
await destroy();
