// y[o, v, c] = x[o, v, c] + Σ src[o, k, c] over the k with index[o, k, c] = v: for short lines of indices.
//
// Each element of y looks through its whole line for what belongs to it: m comparisons, but no atomics, and the order of adding is
// fixed. Sums are made of partial sums of PIECE, so that rounding errors don't grow with the number of terms.
// An index out of range makes the line's first element NaN: a kernel can't throw, and dropping it in silence would be worse.
// Mapping: one invocation per element of y. Traffic: x read, y written once; index n times, from cache.
override PIECE: u32 = 64;

struct Params { size: u32, n: u32, m: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read> index: array<u32>;   // [outer, m, inner]
@group(0) @binding(2) var<storage, read> src: array<f32>;     // [outer, m, inner]
@group(0) @binding(3) var<storage, read_write> y: array<u32>; // [outer, n, inner], the bits of f32
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  let row = i / params.inner;
  let outer = row / params.n;
  let v = row - outer * params.n;
  let first = outer * params.m * params.inner + (i - row * params.inner);

  var total = x[i];
  var out_of_range = false;
  for (var start = 0u; start < params.m; start += PIECE) {
    var sum = 0.0;
    for (var k = start; k < min(start + PIECE, params.m); k++) {
      let at = first + k * params.inner;
      if (index[at] == v) { sum += src[at]; }
      out_of_range |= v == 0u && index[at] >= params.n;
    }
    total += sum;
  }
  y[i] = select(bitcast<u32>(total), 0x7fc00000u, out_of_range);
}
