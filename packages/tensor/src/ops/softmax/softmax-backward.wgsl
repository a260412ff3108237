// dx of softmax along one dimension: a "row" is a line of it: dx_c = y_c (dy_c − Σ_k dy_k y_k). With LOG, y = log-softmax(x): dx_c = dy_c − exp(y_c) Σ_k dy_k.
//
// Both sums collect what a row's common shift would change: softmax doesn't see a shift, so dx sums to 0 in every row.
// Mapping: one invocation per row. Traffic: y and dy are read twice (the second time from cache), dx written once.
override LOG: bool = false;
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

struct Params { rows: u32, cols: u32, inner: u32 } // inner: elements between neighbours of a row

@group(0) @binding(0) var<storage, read> y: array<f32>;        // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read> dy: array<f32>;       // [rows / inner, cols, inner]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [rows / inner, cols, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;
  let end = first + params.cols * step;

  var sum = 0.0;
  for (var i = first; i < end; i += step) { sum += select(dy[i] * y[i], dy[i], LOG); }
  for (var i = first; i < end; i += step) {
    dx[i] = select(y[i] * (dy[i] - sum), dy[i] - exp(y[i]) * sum, LOG);
  }
}
