// One step of SGD for one parameter, in place, with momentum μ, dampening τ, Nesterov and L2 weight decay:
//
//   g ← g + wd·p;  b ← μ b + (1 − τ) g  (the first step: b ← g);  p ← p − lr · b  (Nesterov: p ← p − lr · (g + μ b))
//
// Mapping: one invocation per element.
override NESTEROV: bool = false;

struct Params { count: u32, lr: f32, weight_decay: f32, momentum: f32, gain: f32 } // gain: 1 − τ, and 1 at the first step

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>; // momentum buffer; zeros before the first step
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let gradient = g[i] + params.weight_decay * p[i];
  let buffer = params.momentum * b[i] + params.gain * gradient;
  b[i] = buffer;
  p[i] -= params.lr * select(buffer, gradient + params.momentum * buffer, NESTEROV);
}
