// y[o, k, c] = x[o, index[o, k, c], c]: elements picked along one dimension, each line by numbers of its own.
//
// An index out of range gives NaN (0x7fc00000 in integers): a kernel can't throw, and a number that looks right would be worse.
// Mapping: one invocation per element, a 32-bit word of any type. Traffic: index read, as much of x read, y written once.
struct Params { size: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read> index: array<u32>;   // [outer, m, inner]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [outer, m, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  let outer = i / (params.m * params.inner);
  let picked = index[i]; // negative ones are far out of range too
  if (picked < params.n) {
    y[i] = x[(outer * params.n + picked) * params.inner + i % params.inner];
  } else {
    y[i] = 0x7fc00000u;
  }
}
