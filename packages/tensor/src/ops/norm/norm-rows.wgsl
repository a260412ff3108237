// y = (h − μ) / √(σ² + eps) · weight + bias for each row of h = x, or x + residual: norm-naive.wgsl, which explains the two passes,
// four elements at a time. Without CENTER (RMS norm) μ is 0. The sum may have dropout on x, a plain norm on y (see dropped.wgsl).
//
// Mapping: one invocation per row. That suits CPU adapters, where workgroup memory and barriers cost more than they save.
// Traffic: h is read three times (the second and third time from cache), y written once, 16 bytes of statistics per row; with a
// residual, h is written too: backward wants it.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
override CENTER: bool = true;
override RESIDUAL: bool = false; // only with CENTER
override WEIGHT: bool = true;
override BIAS: bool = true;
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
  threshold: u32, // for dropped(), as in dropout.wgsl
  counter: vec4u,
  key: vec2u,
  rescale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Lanes>;           // [rows, cols]
@group(0) @binding(1) var<storage, read> residual: array<Lanes>;    // [rows, cols]
@group(0) @binding(2) var<storage, read> weight: array<Lanes>;      // [cols]
@group(0) @binding(3) var<storage, read> bias: array<Lanes>;        // [cols]
@group(0) @binding(4) var<storage, read_write> h: array<Lanes>;     // [rows, cols]: x + residual, where there is one
@group(0) @binding(5) var<storage, read_write> y: array<Lanes>;     // [rows, cols]
@group(0) @binding(6) var<storage, read_write> stats: array<vec4f>; // [rows]: mean, ε, 1 / √(σ² + eps)
@group(0) @binding(7) var<uniform> params: Params;

fn dropped(v: Lanes, i: u32) -> Lanes { return v; }

fn element(i: u32) -> Lanes {
  if (RESIDUAL) { return h[i]; }
  return x[i];
}

// The sum of the lanes; vec4f(v) repeats an f32 four times.
fn across(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let n = params.cols / WIDTH;
  let first = row * n;
  let scale = 1.0 / f32(params.cols);

  var mean = 0.0;
  if (CENTER) {
    var total = Lanes();
    for (var c = 0u; c < n; c++) {
      var v = x[first + c];
      if (RESIDUAL) {
        v = dropped(v, first + c) + residual[first + c];
        h[first + c] = v;
      }
      total += v;
    }
    mean = across(total) * scale;
  }
  var left = Lanes();
  var squares = Lanes();
  for (var c = 0u; c < n; c++) {
    let d = element(first + c) - mean;
    left += d;
    squares += d * d;
  }
  let epsilon = select(0.0, across(left) * scale, CENTER);
  let rstd = inverse_root(at_least_zero(across(squares) * scale - epsilon * epsilon) + params.eps);
  stats[row] = vec4f(mean, epsilon, rstd, 0.0);

  for (var c = 0u; c < n; c++) {
    var v = ((element(first + c) - mean) - epsilon) * rstd;
    if (WEIGHT) { v *= weight[c]; }
    if (BIAS) { v += bias[c]; }
    if (!RESIDUAL) { v = dropped(v, first + c); }
    y[first + c] = v;
  }
}

// max(v, 0), but NaN of NaN, which WGSL's max may drop: by the bits, negative numbers are those from −0 to −∞.
fn at_least_zero(v: f32) -> f32 { return select(v, 0.0, bitcast<u32>(v) - 0x80000000u <= 0x7f800000u); }

// 1 / √v: WGSL's own may be off by two units in the last place, which a step of Newton's method corrects. Of a variance that
// overflowed it is 0, which the step would make NaN.
fn inverse_root(v: f32) -> f32 {
  let r = inverseSqrt(v);
  return select(r * (1.5 - 0.5 * v * r * r), 0.0, v > 3.4e38);
}
