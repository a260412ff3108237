// y = softmax(x) along one dimension: a "row" is a line of it: y_c = exp(x_c − m) / Σ exp(x_c − m), with m = max x. With LOG: y_c = (x_c − m) − ln Σ exp(x_c − m).
//
// Online: maximum and sum in one pass. When a larger m' turns up, what was summed is brought to it: Σ exp(x − m) exp(m − m').
// Mapping: one invocation per row. That suits CPU adapters, where workgroup memory and barriers cost more than they save, and
// rows whose elements lie apart. Traffic: x is read twice (the second time from cache if the rows fit there), y written once.
alias Lanes = f32; // elements that are read at once: vec4f where rows are contiguous, in whole vec4s
const WIDTH = 1u;  // how many these are
override LOG: bool = false;
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

struct Params { rows: u32, cols: u32, inner: u32 } // inner: elements between neighbours of a row

@group(0) @binding(0) var<storage, read> x: array<Lanes>;       // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read_write> y: array<Lanes>; // [rows / inner, cols, inner]
@group(0) @binding(2) var<uniform> params: Params;

// The largest lane, and the sum of all; vec4f(v) repeats an f32 four times.
fn max_of(v: Lanes) -> f32 {
  let w = vec4f(v);
  return max(max(w.x, w.y), max(w.z, w.w));
}
fn sum_of(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

// Whether a lane is NaN: by the bits, for WGSL may assume that none is, and its exp and log may make anything of it.
fn has_nan(v: Lanes) -> bool { return any((bitcast<vec4u>(vec4f(v)) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u)); }

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let n = params.cols / WIDTH;
  let first = (row / step) * n * step + row % step;
  let end = first + n * step;

  var m = -0x1.fffffep+127; // the lowest finite one: from −∞, a row that begins with −∞ would become NaN
  var sum = 0.0;
  for (var i = first; i < end; ) { // in runs of 16, so that rounding grows with the root of a long row
    let stop = min(end, i + 16u * step);
    var run = 0.0;
    for (; i < stop; i += step) {
      let v = x[i];
      let top = max(m, max_of(v));
      let shrink = exp(m - top);
      run = run * shrink + select(sum_of(exp(v - top)), sum_of(v), has_nan(v));
      sum *= shrink;
      m = top;
    }
    sum += run;
  }

  if (LOG) {
    let log_sum = select(log(sum), sum, has_nan(Lanes(sum))); // taken off after m, since m + ln Σ would round the logarithm to m's last digit
    for (var i = first; i < end; i += step) { y[i] = (x[i] - m) - log_sum; }
  } else {
    let scale = 1.0 / sum;
    for (var i = first; i < end; i += step) { y[i] = exp(x[i] - m) * scale; }
  }
}
