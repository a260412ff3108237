// y[to(i)] = x[from(i)] for all i of a box of indices: copies one strided view into another. Permute, expand, slice, pad, flip,
// repeat and concat are this, with strides of their own: 0 repeats an element, a negative one walks backwards.
//
// Mapping: one invocation per element, or per four neighbours (Element = vec4u) where both views keep them together. Elements
// are 32-bit words of any type. Traffic: the view is read once and written once.
alias Element = u32;
override RANK: u32 = 16; // dimensions in use, so that the loop unrolls

struct Params {
  sizes: array<vec4u, 4>,        // of the box, innermost dimension first
  x_strides: array<vec4i, 4>, // in Elements
  y_strides: array<vec4i, 4>,
  x_offset: i32,
  y_offset: i32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  var at_x = params.x_offset;
  var at_y = params.y_offset;
  var rest = i;
  for (var d = 0u; d < RANK; d++) {
    var index = rest;
    if (d + 1u < RANK) { // the outermost index is what is left: no division
      let n = params.sizes[d / 4u][d % 4u];
      rest /= n;
      index -= rest * n;
    }
    at_x += i32(index) * params.x_strides[d / 4u][d % 4u];
    at_y += i32(index) * params.y_strides[d / 4u][d % 4u];
  }
  y[at_y] = x[at_x];
}
