// y[o, index[o, k, c], c] += src[o, k, c] for k = 0, 1, …: for many or long lines, of which y holds a copy of x before.
//
// One invocation owns a whole line, so nobody else adds to its elements: no atomics, and the order of adding is that of k.
// An index out of range makes the line's first element NaN: a kernel can't throw, and dropping it in silence would be worse.
// Mapping: one invocation per line. Traffic: index and src read once, an element of y read and written for each.
struct Params { lines: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> index: array<u32>;   // [outer, m, inner]
@group(0) @binding(1) var<storage, read> src: array<f32>;     // [outer, m, inner]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [outer, n, inner], the bits of f32
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let line = id.x + id.y * workgroups.x * 64u;
  if (line >= params.lines) { return; }
  let outer = line / params.inner;
  let c = line - outer * params.inner;
  let first = outer * params.n * params.inner + c;

  var out_of_range = false;
  for (var k = 0u; k < params.m; k++) {
    let at = (outer * params.m + k) * params.inner + c;
    let v = index[at];
    if (v < params.n) {
      let sum = first + v * params.inner;
      y[sum] = bitcast<u32>(bitcast<f32>(y[sum]) + src[at]);
    } else {
      out_of_range = true;
    }
  }
  if (out_of_range) { y[first] = 0x7fc00000u; }
}
