// One step of SGD for one parameter, in place, with momentum μ, dampening τ, Nesterov and L2 weight decay:
//
//   g ← g + wd·p;  b ← μ b + (1 − τ) g  (the first step: b ← g);  p ← p − lr · b  (Nesterov: p ← p − lr · (g + μ b))
//
// g is multiplied by a factor on the way in, as in adamw.wgsl.
// Mapping: one invocation per four elements; buffers are padded. Traffic: 20 bytes an element.
override NESTEROV: bool = false;

struct Params {
  vectors: u32, // elements / 4, rounded up
  record: u32,  // where the clock counts this parameter's steps; 0: the host counts, and `gain` is right
  lr: f32,
  weight_decay: f32,
  momentum: f32,
  gain: f32,    // 1 − τ, and 1 at the first step
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4f>; // momentum buffer; zeros before the first step
@group(0) @binding(3) var<storage, read> clock: array<vec4f>;   // first: the factor; 1, or 0 to leave the step out
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let now = clock[0];
  if (i >= params.vectors || now.y == 0.0) { return; }
  let first = params.record > 0u && clock[params.record].x == 1.0;
  let gradient = g[i] * now.x + params.weight_decay * p[i];
  let buffer = params.momentum * b[i] + select(params.gain, 1.0, first) * gradient;
  b[i] = buffer;
  p[i] -= params.lr * select(buffer, gradient + params.momentum * buffer, NESTEROV);
}
