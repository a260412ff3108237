// y = x: what memory gives, the limit of every kernel that does little with what it reads.
//
// Mapping: one invocation per vector. Traffic: x is read once, y written once.
struct Params { count: u32 } // vectors

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i < params.count) { y[i] = x[i]; }
}
