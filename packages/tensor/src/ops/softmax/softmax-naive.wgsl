// y_c = exp(x_c) / Σ_k exp(x_k) for each contiguous row, or with LOG its logarithm: softmax as one would write it down, made stable.
//
// Why subtract m = max x: the largest exponent becomes 0, so no exp overflows, and the sum is at least 1; the factor exp(−m) cancels.
// Mapping: one invocation per row, one element at a time. Traffic: x is read three times, y written once, and neighbouring
// invocations read a whole row apart: on a GPU each read fetches a cache line for the sake of four bytes.
override LOG: bool = false;

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [rows, cols]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [rows, cols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u; // large launches are folded into two dimensions
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  let end = first + params.cols;

  var m = x[first];
  for (var i = first; i < end; i++) { m = max(m, x[i]); }
  var sum = 0.0;
  for (var i = first; i < end; i++) { sum += exp(x[i] - m); }
  for (var i = first; i < end; i++) {
    if (LOG) { y[i] = (x[i] - m) - log(sum); } else { y[i] = exp(x[i] - m) / sum; }
  }
}
