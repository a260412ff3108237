// y = (x − μ) / √(σ² + eps) · weight + bias for each row of x: layer norm as it is written down.
//
// Two passes before the last, since E[x²] − μ² loses everything where μ ≫ σ. Even a rounded μ is off by u·|μ|, and BERT's eps of
// 1e-12 makes up to 10⁶ of it: the second pass also sums what is left of the mean, ε, and x − μ is computed as (x − mean) − ε.
// Mapping: one invocation per row, so neighbours read elements that lie a whole row apart. Traffic: x is read three times, y
// written once, 16 bytes of statistics per row.
struct Params { rows: u32, cols: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;             // [rows, cols]
@group(0) @binding(1) var<storage, read> weight: array<f32>;        // [cols]
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // [rows, cols]
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // [rows]: mean, ε, 1 / √(σ² + eps)
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  let n = f32(params.cols);

  var total = 0.0;
  for (var c = 0u; c < params.cols; c++) { total += x[first + c]; }
  let mean = total / n;

  var left = 0.0;
  var squares = 0.0;
  for (var c = 0u; c < params.cols; c++) {
    let d = x[first + c] - mean;
    left += d;
    squares += d * d;
  }
  let epsilon = left / n;
  let rstd = 1.0 / sqrt(at_least_zero(squares / n - epsilon * epsilon) + params.eps);
  stats[row] = vec4f(mean, epsilon, rstd, 0.0);

  for (var c = 0u; c < params.cols; c++) {
    y[first + c] = ((x[first + c] - mean) - epsilon) * rstd * weight[c] + bias[c];
  }
}

// max(v, 0), but NaN of NaN, which WGSL's max may drop: by the bits, negative numbers are those from −0 to −∞.
fn at_least_zero(v: f32) -> f32 { return select(v, 0.0, bitcast<u32>(v) - 0x80000000u <= 0x7f800000u); }
