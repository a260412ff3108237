// x = value everywhere, given by its bits, whatever the dtype: 16-bit elements come doubled.
//
// Mapping: one invocation per 32-bit word. Traffic: x is written once.
struct Params { words: u32, bits: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<u32>; // [words]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.words) { return; }
  x[i] = params.bits;
}
