// A diffusion model learns two moons: a net that guesses the noise in noisy points takes it out again, step by step.
import "@gpugrad/autograd";
import { Linear, Module } from "@gpugrad/nn";
import * as g from "@gpugrad/tensor";
import type { Tensor } from "@gpugrad/tensor";
import { AdamW, AveragedWeights } from "@gpugrad/train";

const STEPS = 40;
const UPDATES = 500;
/** How much of a point is left after t steps: ᾱ of a cosine schedule. */
const left = Array.from({ length: STEPS + 1 }, (_, t) => Math.cos(((t / STEPS) * 0.95 * Math.PI) / 2) ** 2);

const random = new g.Generator(1);
const uniform = (): number => random.words(1)[0]! / 2 ** 32;
/** A point of one of two half circles. */
function moon(): [number, number] {
  const angle = Math.PI * uniform();
  return uniform() < 0.5
    ? [Math.cos(angle) - 0.5, Math.sin(angle) - 0.25]
    : [0.5 - Math.cos(angle), 0.25 - Math.sin(angle)];
}
/** How far a point is from the nearer half circle. */
function distance([x, y]: readonly [number, number]): number {
  const fromArc = (u: number, v: number): number =>
    v >= 0 ? Math.abs(Math.hypot(u, v) - 1) : Math.min(Math.hypot(u - 1, v), Math.hypot(u + 1, v));
  return Math.min(fromArc(x + 0.5, y + 0.25), fromArc(x - 0.5, 0.25 - y));
}

class Denoiser extends Module {
  readonly first = new Linear(2 + 8, 96);
  readonly second = new Linear(96, 96);
  readonly last = new Linear(96, 2);
  /** The noise in points [N, 2] after t [N] steps. */
  forward(points: Tensor, t: readonly number[]): Tensor {
    const waves = t.flatMap((s) => [1, 2, 4, 8].flatMap((k) => [Math.sin((k * s) / STEPS), Math.cos((k * s) / STEPS)]));
    const x = g.concat([points, g.fromArray(waves, [t.length, 8])], { dim: 1 });
    return this.last.forward(g.silu(this.second.forward(g.silu(this.first.forward(x)))));
  }
}

await g.init();
g.manualSeed(1);
const net = new Denoiser();
const optimizer = new AdamW(net.namedParameters(), { lr: 4e-3, weightDecay: 0 });
const average = new AveragedWeights(net.namedParameters(), { decay: 0.99 });
const column = (values: number[]): Tensor => g.fromArray(values, [values.length, 1]);
for (let step = 0; step < UPDATES; step++) {
  optimizer.lr = 0.006 * (1 - step / UPDATES);
  g.scope(() => {
    const t = Array.from({ length: 256 }, () => 1 + Math.floor(uniform() * STEPS));
    const points = g.fromArray(
      t.flatMap(() => moon()),
      [256, 2],
    );
    const noise = g.randn([256, 2]);
    const noisy = g.add(
      g.mul(points, column(t.map((s) => Math.sqrt(left[s]!)))),
      g.mul(noise, column(t.map((s) => Math.sqrt(1 - left[s]!)))),
    );
    g.mseLoss(net.forward(noisy, t), noise).backward();
    optimizer.step();
    optimizer.zeroGrad();
    average.update();
  });
}
average.swap();
let points = g.keep(g.randn([400, 2]));
for (let t = STEPS; t > 0; t--) {
  const next = g.scope(() => {
    const guess = net.forward(points, new Array<number>(400).fill(t)).detach();
    const [now, before] = [left[t]!, left[t - 1]!];
    const clean = g.clamp(g.div(g.sub(points, g.mul(guess, Math.sqrt(1 - now))), Math.sqrt(now)), { min: -2, max: 2 });
    return g.add(g.mul(clean, Math.sqrt(before)), g.mul(guess, Math.sqrt(1 - before))); // without new noise (DDIM)
  });
  points.dispose();
  points = g.keep(next);
}
const distanceOf = async (of: Tensor): Promise<string> => {
  const list = (await of.toArray()) as [number, number][];
  return (list.reduce((sum, point) => sum + distance(point), 0) / list.length).toFixed(3);
};
console.log(
  `mean distance ${await distanceOf(points)}, of noise ${await g.scope(() => distanceOf(g.randn([400, 2])))}`,
);
for (const one of [average, optimizer, net, points]) one.dispose();
await g.destroy();
