// y = cos(a, b) = a·b / (|a| |b|) along one dimension, each norm at least eps. With EMBEDDING a loss of it: 1 − cos where the
// target is 1, max(0, cos − margin) where it is −1, the norms being √(a·a + 1e-12) as in PyTorch.
//
// Backward needs of each line only k = s / (|a| |b|), k_a = s cos / |a|², k_b likewise, with s = dy/dcos; a norm held up by eps
// counts as constant. Mapping: one invocation per line. Traffic: a and b are read once.
override EMBEDDING: bool = false;

struct Params { rows: u32, cols: u32, inner: u32, eps: f32, margin: f32 } // inner: elements between neighbours of a line

@group(0) @binding(0) var<storage, read> a: array<f32>;             // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read> b: array<f32>;             // [rows / inner, cols, inner]
@group(0) @binding(2) var<storage, read> target_of: array<f32>;     // [rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // [rows]
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // [rows]: k, k_a, k_b
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;
  let end = first + params.cols * step;

  var sums = vec3f(); // a·b, a·a, b·b
  for (var i = first; i < end; ) { // in runs of 64, so that rounding grows with the root of a long line
    let stop = min(end, i + 64u * step);
    var run = vec3f();
    for (; i < stop; i += step) { run += vec3f(a[i] * b[i], a[i] * a[i], b[i] * b[i]); }
    sums += run;
  }

  var norms = sqrt(sums.yz);
  var free = vec2f(norms > vec2f(params.eps));
  norms = max(norms, vec2f(params.eps));
  if (EMBEDDING) {
    norms = sqrt(sums.yz + 1e-12);
    free = vec2f(1.0);
  }
  let cosine = sums.x / norms.x / norms.y;
  var value = cosine;
  var slope = 1.0;
  if (EMBEDDING) {
    if (target_of[row] == 1.0) {
      value = 1.0 - cosine;
      slope = -1.0;
    } else {
      slope = f32(target_of[row] == -1.0 && cosine > params.margin);
      value = slope * (cosine - params.margin);
    }
  }
  y[row] = value;
  stats[row] = vec4f(slope / norms.x / norms.y, slope * cosine * free / norms / norms, 0.0);
}
