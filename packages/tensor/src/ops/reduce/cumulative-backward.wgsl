// dx_k = f_k S_k along lines, with the sums S_k = dy_k + g_k S_(k+1) from the end: the gradient of a running value, in one pass.
//
// Of products, y_k = x_0 … x_k: f_k = y_(k-1), g_k = x_(k+1), so that nothing is divided by a zero. Of y_k = ln(e^x_0 + … + e^x_k):
// f_k = e^(x_k − y_k), g_k = e^(y_k − y_(k+1)), whose exponents are never above 0.
// Mapping: one invocation per line. Traffic: x, y and dy are read once (neighbours from cache), dx written once.
override LOG: bool = false; // of logarithms of sums; else of products

struct Params { lines: u32, n: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [outer, n, inner]
@group(0) @binding(1) var<storage, read> y: array<f32>;        // [outer, n, inner]
@group(0) @binding(2) var<storage, read> dy: array<f32>;       // [outer, n, inner]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [outer, n, inner]
@group(0) @binding(4) var<uniform> params: Params;

/// e^(v − w), 0 where both are −∞.
fn ratio(v: f32, w: f32) -> f32 { return select(0.0, exp(v - w), w >= -3.4028234e38); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let line = id.x + id.y * workgroups.x * 64u;
  if (line >= params.lines) { return; }
  let step = params.inner;
  let first = (line / step) * params.n * step + line % step;
  var sum = 0.0;
  for (var k = params.n; k > 0u; k--) {
    let at = first + (k - 1u) * step;
    if (k < params.n) {
      if (LOG) { sum *= ratio(y[at], y[at + step]); } else { sum *= x[at + step]; }
    }
    sum += dy[at];
    var factor = 1.0;
    if (LOG) { factor = ratio(x[at], y[at]); } else if (k > 1u) { factor = y[at - step]; }
    dx[at] = factor * sum;
  }
}
