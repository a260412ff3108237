// y = softmax(x) along one dimension: a "row" is a line of it: y_c = exp(x_c − m) / Σ exp(x_c − m), with m = max x. With LOG: y_c = (x_c − m) − ln Σ exp(x_c − m).
//
// Why subtract m: the largest exponent becomes 0, so no exp overflows, and the sum is at least 1; the factor exp(−m) cancels.
// Mapping: one invocation per row. That suits CPU adapters, where workgroup memory and barriers cost more than they save.
// Traffic: x is read three times (the second and third time from cache), y written once.
override LOG: bool = false;
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

struct Params { rows: u32, cols: u32, inner: u32 } // inner: elements between neighbours of a row

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [rows / inner, cols, inner]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;
  let end = first + params.cols * step;

  var m = x[first];
  for (var i = first + step; i < end; i += step) { m = max(m, x[i]); }
  var sum = 0.0;
  for (var i = first; i < end; i += step) { sum += exp(x[i] - m); }

  if (LOG) {
    let log_sum = log(sum); // taken off after m, since m + ln Σ would round the logarithm to m's last digit
    for (var i = first; i < end; i += step) { y[i] = (x[i] - m) - log_sum; }
  } else {
    let scale = 1.0 / sum;
    for (var i = first; i < end; i += step) { y[i] = exp(x[i] - m) * scale; }
  }
}
