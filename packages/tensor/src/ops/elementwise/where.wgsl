// y = a where the condition holds, else b, with broadcasting. Elements are copied as bits, so nothing is left of what is not chosen.
//
// Strides are 0 in the dimensions in which an operand is broadcast; a number has its bits in params instead.
// Mapping: one invocation per element of y. Traffic: the condition and one of a and b are read, y is written once.
override A_IS_NUMBER: bool = false;
override B_IS_NUMBER: bool = false;

struct Params {
  elements: u32, // of y
  rank: u32,
  a_bits: u32,
  b_bits: u32,
  sizes: array<vec4u, 2>, // of y
  condition_strides: array<vec4u, 2>,
  a_strides: array<vec4u, 2>,
  b_strides: array<vec4u, 2>,
}

@group(0) @binding(0) var<storage, read> condition: array<u32>; // 0 and 1
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.elements) { return; }
  var rest = i;
  var at = vec3u(); // in the condition, a and b
  for (var d = params.rank - 1u; d > 0u; d--) {
    let size = params.sizes[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * strides(d);
    rest = next;
  }
  at += rest * strides(0u);
  if (condition[at.x] != 0u) {
    if (A_IS_NUMBER) { y[i] = params.a_bits; } else { y[i] = a[at.y]; }
  } else {
    if (B_IS_NUMBER) { y[i] = params.b_bits; } else { y[i] = b[at.z]; }
  }
}

fn strides(d: u32) -> vec3u {
  let i = d / 4u;
  let k = d % 4u;
  return vec3u(params.condition_strides[i][k], params.a_strides[i][k], params.b_strides[i][k]);
}
