// REINFORCE: a policy learns by its rewards alone which of five arms pays best.
import "@gpugrad/autograd";
import {
  destroy,
  fromArray,
  init,
  keep,
  logSoftmax,
  manualSeed,
  mean,
  mul,
  multinomial,
  nllLoss,
  randn,
  reshape,
  scope,
  softmax,
  zeros,
} from "@gpugrad/tensor";
import { AdamW } from "@gpugrad/train";

const PAYS = [0.2, 0.5, 0.9, 0.4, 0.6]; // on average, with noise

await init();
manualSeed(1);
const preferences = keep(zeros([1, PAYS.length])).requireGrad();
const optimizer = new AdamW([["preferences", preferences]], { lr: 0.1, weightDecay: 0 });
for (let step = 0; step < 80; step++) {
  await scope(async () => {
    const arms = reshape(multinomial(softmax(preferences), 64, { replacement: true }), [64]);
    const noise = await randn([64], { std: 0.3 }).data();
    const rewards = Array.from(await arms.data(), (arm, i) => PAYS[arm]! + noise[i]!);
    const baseline = rewards.reduce((a, b) => a + b) / 64; // what is better than usual becomes likelier
    const advantages = fromArray(
      rewards.map((reward) => reward - baseline),
      [64],
    );
    const unlikeliness = nllLoss(logSoftmax(preferences).expand([64, PAYS.length]), arms, { reduction: "none" });
    mean(mul(unlikeliness, advantages)).backward();
    optimizer.step();
    optimizer.zeroGrad();
  });
}
const policy = await scope(() => softmax(preferences).data());
console.log(Array.from(policy, (p) => p.toFixed(3)).join(" "));
optimizer.dispose();
preferences.dispose();
await destroy();
