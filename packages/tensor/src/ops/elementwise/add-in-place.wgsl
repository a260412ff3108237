// target += source, element by element: how gradients add up without a new tensor.
//
// Mapping: one invocation per four elements; buffers are padded. Traffic: both are read once, target is written once.
struct Params { vectors: u32 } // elements / 4, rounded up

@group(0) @binding(0) var<storage, read_write> to: array<vec4f>; // [vectors]
@group(0) @binding(1) var<storage, read> source: array<vec4f>;   // [vectors]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  to[i] += source[i];
}
