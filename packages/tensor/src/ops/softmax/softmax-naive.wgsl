// y_c = exp(x_c) / Σ_k exp(x_k) along one dimension, or with LOG its logarithm: softmax as one would write it down, made stable.
//
// Why subtract m = max x: the largest exponent becomes 0, so no exp overflows, and the sum is at least 1; the factor exp(−m) cancels.
// Mapping: one invocation per row, one element at a time. Traffic: x is read three times, y written once; if rows are contiguous,
// neighbouring invocations read a whole row apart, and on a GPU each read fetches a cache line for the sake of four bytes.
override LOG: bool = false;

struct Params { rows: u32, cols: u32, inner: u32 } // inner: elements between neighbours of a row

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [rows / inner, cols, inner]
@group(0) @binding(2) var<uniform> params: Params;

// Whether x is NaN: by the bits, for WGSL may assume that nothing is, and its exp and log may make anything of it.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 8u; // large launches are folded into two dimensions
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;
  let end = first + params.cols * step;

  var m = x[first];
  for (var i = first; i < end; i += step) { m = max(m, x[i]); }

  var sum = 0.0;
  for (var i = first; i < end; ) { // in runs of 64, so that rounding grows with the root of a long row
    let stop = min(end, i + 64u * step);
    var run = 0.0;
    for (; i < stop; i += step) { run += select(exp(x[i] - m), x[i], is_nan(x[i])); }
    sum += run;
  }

  let log_sum = select(log(sum), sum, is_nan(sum));
  for (var i = first; i < end; i += step) {
    if (LOG) { y[i] = (x[i] - m) - log_sum; } else { y[i] = exp(x[i] - m) / sum; }
  }
}
