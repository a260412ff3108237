// x ← x · factor in place, the factor read from the device: what clip-factor.wgsl computed never reaches the host.
//
// Mapping: one invocation per four elements; buffers are padded. Traffic: x is read once and written once.
struct Params { vectors: u32 } // elements / 4, rounded up

@group(0) @binding(0) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i < params.vectors) { x[i] *= factor[0]; }
}
