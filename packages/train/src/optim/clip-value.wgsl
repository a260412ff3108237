// x ← min(max(x, −bound), bound) in place. NaN stays NaN, recognized by its bits: WGSL's clamp doesn't promise it.
//
// Mapping: one invocation per four elements; buffers are padded. Traffic: x is read once and written once.
struct Params { vectors: u32, bound: f32 } // elements / 4, rounded up

@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let is_number = (bitcast<vec4u>(x[i]) & vec4u(0x7fffffffu)) <= vec4u(0x7f800000u);
  x[i] = select(x[i], clamp(x[i], vec4f(-params.bound), vec4f(params.bound)), is_number);
}
