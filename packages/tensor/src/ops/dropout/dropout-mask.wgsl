// y_i = x_i · scale where mask_i is true, else 0; scale = 1 / (1 − p): dropout with a mask that the caller gives.
//
// Mapping: one invocation per element. Traffic: x and mask read, y written once.
struct Params { size: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>; // any 32-bit type: nonzero keeps
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

// What is left of a dropped element: see dropout.wgsl.
fn nothing_of(v: f32) -> f32 {
  let bits = bitcast<u32>(v);
  let finite = (bits & 0x7f800000u) != 0x7f800000u;
  return bitcast<f32>(select(bits | 0x400000u, 0u, finite));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  y[i] = select(nothing_of(x[i]), x[i] * params.scale, mask[i] != 0u);
}
