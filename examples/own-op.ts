// An op of your own, with nothing but the published packages. docs/your-own-op.md explains it piece by piece.
import { gradcheck } from "@gpugrad/autograd"; // from here on, calls are recorded on the tape
import {
  destroy, defineOp, empty, init, keep, kernel, linear, linspace, manualSeed, mseLoss, randn, record, reshape, run, scope, sin, zeros,
  type Tensor,
} from "@gpugrad/tensor"; // prettier-ignore
import { AdamW } from "@gpugrad/train";

const forwardKernel = kernel(
  "snake.wgsl",
  `
struct Params { count: u32, a: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u; // large launches are folded into two dimensions
  if (i >= params.count) { return; }
  let s = sin(params.a * x[i]);
  y[i] = x[i] + s * s / params.a;
}`,
);

const backwardKernel = kernel(
  "snake-backward.wgsl",
  `
struct Params { count: u32, a: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [count]
@group(0) @binding(1) var<storage, read> dy: array<f32>;       // [count]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [count]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  dx[i] = dy[i] * (1.0 + sin(2.0 * params.a * x[i]));
}`,
);

/** snake(x) = x + sin²(a x) / a: f32 of x's shape. */
const snake = defineOp("snake", {
  takes: { x: "tensor", options: { a: "number?" } },
  forward(x: Tensor, { a = 1 }: { a?: number } = {}) {
    const y = empty(x.shape);
    run(forwardKernel, { x, y }, { count: x.size, a }, { threads: x.size });
    return { output: y, inputs: { x }, saved: { x, a } };
  },
  /** dx = dy (1 + sin(2 a x)) */
  backward({ x, a }, dy) {
    const dx = empty(x.shape);
    run(backwardKernel, { x, dy, dx }, { count: x.size, a }, { threads: x.size });
    return { x: dx };
  },
});

await init();
manualSeed(1);
await gradcheck((x) => snake(x, { a: 2 }), [randn([3, 5])]); // throws where a gradient is not the slope

const x = keep(reshape(linspace(-6, 6, 128), [128, 1]));
const target = keep(sin(x));
const weights = { w1: randn([16, 1]), b1: randn([16]), w2: randn([1, 16], { std: 0.1 }), b2: zeros([1]) };
for (const weight of Object.values(weights)) keep(weight).requireGrad();
const optimizer = new AdamW(Object.entries(weights), { lr: 0.02, weightDecay: 0 });

const step = (): Tensor =>
  scope(() => {
    const { w1, b1, w2, b2 } = weights;
    const loss = mseLoss(linear(snake(linear(x, w1, b1)), w2, b2), target);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  });

step().dispose(); // the first one compiles kernels and makes the optimizer's state
const { result: loss, recording } = record(step);
for (let i = 0; i < 500; i++) recording.replay();
console.log(`loss ${(await loss.item()).toFixed(4)}`);
recording.dispose();
await destroy();
