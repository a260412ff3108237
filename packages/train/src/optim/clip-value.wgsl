// x ← min(max(x, −bound), bound) in place. NaN stays NaN, told by its bits: WGSL's clamp doesn't promise it.
struct Params { count: u32, bound: f32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  if ((bitcast<u32>(x[i]) & 0x7fffffffu) <= 0x7f800000u) { x[i] = clamp(x[i], -params.bound, params.bound); }
}
