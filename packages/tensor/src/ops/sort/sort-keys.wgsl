// keys[l, k] = element k of line l of x, as a number without sign whose order is that of the elements; order[l, k] = k.
//
// Of floats by their bits: negative ones are turned over, and NaN comes last. −0 and 0 are equal. DESCENDING turns all over, so that
// equal elements still keep their order, and NaN comes first.
// Mapping: one invocation per element. Traffic: x is read once, keys and order written once.
override FLOAT: bool = true;
override SIGNED: bool = false; // whole numbers with sign
override DESCENDING: bool = false;

struct Params { size: u32, n: u32, inner: u32 } // n: elements of a line

@group(0) @binding(0) var<storage, read> x: array<u32>;           // [outer, n, inner]
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;  // [outer, inner, n]
@group(0) @binding(2) var<storage, read_write> order: array<u32>; // [outer, inner, n]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  let line = i / params.n;
  let k = i - line * params.n;
  let outer = line / params.inner;
  let bits = x[(outer * params.n + k) * params.inner + line - outer * params.inner];
  var key = bits;
  if (FLOAT) {
    let size = bits & 0x7fffffffu;
    key = select(select(bits | 0x80000000u, ~bits, bits > 0x80000000u), 0x80000000u, size == 0u);
    if (size > 0x7f800000u) { key = 0xffffffffu; }
  } else if (SIGNED) {
    key = bits ^ 0x80000000u;
  }
  keys[i] = select(key, ~key, DESCENDING);
  order[i] = k;
}
