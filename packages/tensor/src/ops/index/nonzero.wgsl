// Row ends[i] − 1 of y holds the index of element i of x, dimension by dimension, for each element that is not 0.
//
// ends[i] counts those up to i, itself included: their running sum says where each goes, in their order.
// Mapping: one invocation per element. Traffic: flags and ends are read once, y written once.
struct Params {
  sizes: array<vec4u, 2>, // innermost dimension first
  rank: u32,
  count: u32, // elements
}

@group(0) @binding(0) var<storage, read> flags: array<u32>;   // [count]: 0 or 1
@group(0) @binding(1) var<storage, read> ends: array<u32>;    // [count]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [nonzero ones, rank]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count || flags[i] == 0u) { return; }
  var rest = i;
  for (var d = 0u; d < params.rank; d++) {
    let n = params.sizes[d / 4u][d % 4u];
    y[ends[i] * params.rank - 1u - d] = rest % n;
    rest /= n;
  }
}
