// One step of AdamW (DECOUPLED) or Adam for one parameter, in place.
//
//   AdamW: p ← p (1 − lr·wd)          Adam: g ← g + wd·p
//   m ← β₁ m + (1 − β₁) g             v ← β₂ v + (1 − β₂) g²
//   p ← p − step_size · m / (√v / √(1 − β₂ᵗ) + ε),  step_size = lr / (1 − β₁ᵗ)
//
// ε is added after the bias correction of v, as PyTorch does. The corrections come from the host, in float64.
// Mapping: one invocation per element. Traffic: reads p, g, m, v, writes p, m, v: 28 bytes an element.
override DECOUPLED: bool = true;

struct Params {
  count: u32,
  step_size: f32,           // lr / (1 − β₁ᵗ)
  decay: f32,               // AdamW: lr · wd; Adam: wd
  beta1: f32,
  one_minus_beta1: f32,     // from float64: 1 − 0.999 has no exact f32
  beta2: f32,
  one_minus_beta2: f32,
  inverse_root_correction2: f32, // 1 / √(1 − β₂ᵗ)
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<f32>;
@group(0) @binding(3) var<storage, read_write> v: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let before = p[i];
  let gradient = g[i] + select(params.decay * before, 0.0, DECOUPLED);
  let decayed = before - select(0.0, params.decay * before, DECOUPLED);
  let mean = params.beta1 * m[i] + params.one_minus_beta1 * gradient;
  let square = params.beta2 * v[i] + params.one_minus_beta2 * gradient * gradient;
  m[i] = mean;
  v[i] = square;
  p[i] = decayed - params.step_size * mean / (sqrt(square) * params.inverse_root_correction2 + params.eps);
}
