// y_i = value: every word of y gets the same 32 bits, whatever their type.
//
// Mapping: one invocation writes 16 bytes; buffers are padded beyond the last element, so there is no tail. Traffic: y written once.
struct Params { vectors: u32, bits: u32 }

@group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  y[i] = vec4u(params.bits);
}
