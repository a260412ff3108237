// One step of AdamW (DECOUPLED) or Adam for one parameter, in place.
//
//   AdamW: p ← p (1 − lr·wd)          Adam: g ← g + wd·p
//   m ← β₁ m + (1 − β₁) g             v ← β₂ v + (1 − β₂) g²
//   p ← p − step_size · m / (√v / √(1 − β₂ᵗ) + ε),  step_size = lr / (1 − β₁ᵗ)
//
// g is multiplied by a factor on the way in: clipping and the loss scale cost no pass of their own. ε is added after the bias
// correction of v, as PyTorch does. The corrections come from the host, in float64; with a loss scale from the clock (clock.wgsl).
// Mapping: one invocation per four elements; buffers are padded. Traffic: reads p, g, m, v, writes p, m, v: 28 bytes an element.
override DECOUPLED: bool = true;

struct Params {
  vectors: u32,             // elements / 4, rounded up
  record: u32,              // where the clock has this parameter's corrections; 0 has 1, 1
  step_size: f32,           // lr / (1 − β₁ᵗ), or lr
  decay: f32,               // AdamW: lr · wd; Adam: wd
  beta1: f32,
  one_minus_beta1: f32,     // from float64: 1 − 0.999 has no exact f32
  beta2: f32,
  one_minus_beta2: f32,
  inverse_root_correction2: f32, // 1 / √(1 − β₂ᵗ), or 1
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let now = clock[0];
  if (i >= params.vectors || now.y == 0.0) { return; }
  let corrections = clock[params.record].zw;
  let before = p[i];
  let gradient = g[i] * now.x + select(params.decay * before, vec4f(), DECOUPLED);
  let decayed = before - select(vec4f(), params.decay * before, DECOUPLED);
  let mean = params.beta1 * m[i] + params.one_minus_beta1 * gradient;
  let square = params.beta2 * v[i] + params.one_minus_beta2 * gradient * gradient;
  m[i] = mean;
  v[i] = square;
  let root = sqrt(square) * (params.inverse_root_correction2 * corrections.y);
  p[i] = decayed - params.step_size * corrections.x * mean / (root + params.eps);
}
