// The columns' mean squares of Adafactor, from the sums of adafactor-columns.wgsl: c_j ← β c_j + (1 − β) (mean_i g_ij² + ε), with
// 1 − β = t^decay_rate.
//
// Mapping: one invocation per column.
struct Params {
  rows: u32,
  cols: u32,
  chunks: u32,     // rows / 64, rounded up
  record: u32,     // the rest is that of adafactor-rows.wgsl
  t: f32,
  decay_rate: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>; // [chunks, C]
@group(0) @binding(1) var<storage, read_write> c: array<f32>;  // [C]
@group(0) @binding(2) var<storage, read> clock: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let j = id.x + id.y * workgroups.x * 64u;
  if (j >= params.cols || clock[0].y == 0.0) { return; }
  var sum = 0.0;
  for (var k = 0u; k < params.chunks; k++) { sum += partials[k * params.cols + j]; }
  let t = select(params.t, clock[params.record].x, params.record > 0u);
  let gain = exp2(params.decay_rate * log2(t));
  c[j] = (1.0 - gain) * c[j] + gain * (sum / f32(params.rows) + params.eps);
}
