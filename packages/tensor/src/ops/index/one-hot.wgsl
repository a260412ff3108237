// y[i, c] = 1 where x[i] = c, else 0.
//
// Mapping: one invocation per element of y. Traffic: x read (from cache), y written once.
struct Params { size: u32, classes: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;       // [size / classes]
@group(0) @binding(1) var<storage, read_write> y: array<u32>; // [size / classes, classes]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  let row = i / params.classes;
  y[i] = select(0u, 1u, x[row] == i - row * params.classes);
}
