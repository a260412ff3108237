// y[…, index[i], …] = src[i] for each index i of a box: the element of y is that of i, but at index[i] along one dimension.
//
// y holds a copy of x before. Where two fall on one place, either may stay. An index out of range makes the first element of its line NaN:
// a kernel can't throw, and dropping it in silence would be worse.
// Mapping: one invocation per element of the index. Elements are 32-bit words of any type. Traffic: index and src are read once.
override NUMBER: bool = false; // put `bits` everywhere instead of src

struct Params {
  sizes: array<vec4u, 2>, // of the index, innermost dimension first
  y_strides: array<vec4u, 2>, // 0 along the dimension that the index replaces
  src_strides: array<vec4u, 2>,
  rank: u32,
  count: u32,
  n: u32, // size of that dimension in y, and its stride
  stride: u32,
  bits: u32,
}

@group(0) @binding(0) var<storage, read> index: array<u32>;
@group(0) @binding(1) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  var rest = i;
  var to = 0u;
  var source = 0u;
  for (var d = 0u; d < params.rank; d++) {
    let n = params.sizes[d / 4u][d % 4u];
    let k = rest % n;
    rest /= n;
    to += k * params.y_strides[d / 4u][d % 4u];
    source += k * params.src_strides[d / 4u][d % 4u];
  }
  let picked = index[i]; // negative ones are far out of range too
  if (picked >= params.n) {
    y[to] = 0x7fc00000u;
  } else if (NUMBER) {
    y[to + picked * params.stride] = params.bits;
  } else {
    y[to + picked * params.stride] = src[source];
  }
}
