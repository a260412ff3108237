// dx = rstd (g − mean g − x̂ · mean(g x̂)) for each row, with g = dy · weight and x̂ = (x − μ) rstd, which norm-naive.wgsl left in stats.
//
// A norm doesn't see a row's shift (mean g) nor its scale (x̂ mean(g x̂)): the gradient has no part in these directions.
// Mapping: one invocation per row. Traffic: dy and x are read twice, dx written once.
struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;       // [rows, cols]
@group(0) @binding(1) var<storage, read> h: array<f32>;        // [rows, cols]: x
@group(0) @binding(2) var<storage, read> weight: array<f32>;   // [cols]
@group(0) @binding(3) var<storage, read> stats: array<vec4f>;  // [rows]: mean, ε, rstd
@group(0) @binding(4) var<storage, read_write> dh: array<f32>; // [rows, cols]: dx
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  let n = f32(params.cols);
  let row_stats = stats[row];

  var shift = 0.0;
  var stretch = 0.0;
  for (var c = 0u; c < params.cols; c++) {
    let g = dy[first + c] * weight[c];
    shift += g;
    stretch += g * ((h[first + c] - row_stats.x) - row_stats.y) * row_stats.z;
  }
  for (var c = 0u; c < params.cols; c++) {
    let g = dy[first + c] * weight[c];
    let normalized = ((h[first + c] - row_stats.x) - row_stats.y) * row_stats.z;
    dh[first + c] = (g - shift / n - normalized * (stretch / n)) * row_stats.z;
  }
}
