// y[o, s, c] = x[o, index[s], c]: rows picked by a list of numbers. Embedding is this with one o.
//
// An index out of range gives NaN (0x7fc00000 in integers): a kernel can't throw, and a number that looks right would be worse.
// Mapping: one invocation per SHARE elements of a row, or as many vectors (Element = vec4u), as far apart as can be, so that neighbours read
// neighbours; the index is read once for all of them. Elements are 32-bit words of any type.
// Traffic: the picked rows are read once, y written once.
alias Element = u32;
override INNER: u32 = 1; // Elements in a row: known in advance, it is divided by with a multiplication
override SHARE: u32 = 1; // divides INNER
override OUTER: bool = true; // outer > 1

struct Params { count: u32, m: u32, n: u32 } // count: invocations

@group(0) @binding(0) var<storage, read> x: array<Element>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read> index: array<u32>;       // [m]
@group(0) @binding(2) var<storage, read_write> y: array<Element>; // [outer, m, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let step = INNER / SHARE;
  let row = i / step;
  let first = i - row * step;
  var outer = 0u;
  if (OUTER) { outer = row / params.m; }
  let picked = index[row - outer * params.m]; // negative ones are far out of range too
  let start = (outer * params.n + picked) * INNER;
  for (var k = 0u; k < SHARE; k++) {
    let c = first + k * step;
    if (picked < params.n) { y[row * INNER + c] = x[start + c]; } else { y[row * INNER + c] = Element(0x7fc00000u); }
  }
}
