// dx of softmax along one dimension: a "row" is a line of it: dx_c = y_c (dy_c − Σ_k dy_k y_k). With LOG, y = log-softmax(x): dx_c = dy_c − exp(y_c) Σ_k dy_k.
//
// Both sums collect what a row's common shift would change: softmax doesn't see a shift, so dx sums to 0 in every row.
// Mapping: one invocation per row. Traffic: y and dy are read twice (the second time from cache), dx written once.
alias Lanes = f32; // elements that are read at once: vec4f where rows are contiguous, in whole vec4s
const WIDTH = 1u;  // how many these are
override LOG: bool = false;
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

struct Params { rows: u32, cols: u32, inner: u32 } // inner: elements between neighbours of a row

@group(0) @binding(0) var<storage, read> y: array<Lanes>;        // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read> dy: array<Lanes>;       // [rows / inner, cols, inner]
@group(0) @binding(2) var<storage, read_write> dx: array<Lanes>; // [rows / inner, cols, inner]
@group(0) @binding(3) var<uniform> params: Params;

// The sum of the lanes; vec4f(v) repeats an f32 four times.
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

  var sum = 0.0;
  for (var i = first; i < end; ) { // in runs of 16, so that rounding grows with the root of a long row
    let stop = min(end, i + 16u * step);
    var run = Lanes();
    for (; i < stop; i += step) {
      if (LOG) { run += dy[i]; } else { run += dy[i] * y[i]; }
    }
    sum += sum_of(run);
  }
  if (LOG && has_nan(y[first])) { sum = sum_of(y[first]); } // then all of the row is NaN
  for (var i = first; i < end; i += step) {
    if (LOG) { dx[i] = dy[i] - exp(y[i]) * sum; } else { dx[i] = y[i] * (dy[i] - sum); }
  }
}
