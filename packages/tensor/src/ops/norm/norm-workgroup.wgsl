// y = (h − μ) / √(σ² + eps) · weight + bias for each row of h = x, or x + residual: norm-rows.wgsl with the work of a row shared.
//
// Mapping: one workgroup per row. Neighbouring invocations read neighbouring elements, and add their sums up in a tree in
// workgroup memory, which holds at every subgroup size. Traffic: h is read three times (the second and third time from
// cache), y written once, 16 bytes of statistics per row; with a residual, h is written too.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
override CENTER: bool = true;
override RESIDUAL: bool = false; // only with CENTER
override WEIGHT: bool = true;
override BIAS: bool = true;
override SIZE: u32 = 64; // invocations in a workgroup, a power of two

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

var<workgroup> tree: array<vec2f, SIZE>;

// The sum of `mine` over the workgroup, for all of it.
fn sum_all(mine: vec2f, lane: u32) -> vec2f {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] += tree[lane + half]; }
  }
  return workgroupUniformLoad(&tree[0]); // waits before it reads, and until all have read
}

fn dropped(v: Lanes, i: u32) -> Lanes { return v; }

fn element(i: u32) -> Lanes {
  if (RESIDUAL) { return h[i]; }
  return x[i];
}

// The sum of the lanes; vec4f(v) repeats an f32 four times.
fn across(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * workgroups.x;
  if (row >= params.rows) { return; }
  let n = params.cols / WIDTH;
  let first = row * n;
  let scale = 1.0 / f32(params.cols);

  var mean = 0.0;
  if (CENTER) {
    var total = Lanes();
    for (var c = lane; c < n; c += SIZE) {
      var v = x[first + c];
      if (RESIDUAL) {
        v = dropped(v, first + c) + residual[first + c];
        h[first + c] = v;
      }
      total += v;
    }
    mean = sum_all(vec2f(across(total)), lane).x * scale;
  }
  var left = Lanes();
  var squares = Lanes();
  for (var c = lane; c < n; c += SIZE) {
    let d = element(first + c) - mean;
    left += d;
    squares += d * d;
  }
  let moments = sum_all(vec2f(across(left), across(squares)), lane) * scale;
  let epsilon = select(0.0, moments.x, CENTER);
  let rstd = inverse_root(at_least_zero(moments.y - epsilon * epsilon) + params.eps);
  if (lane == 0u) { stats[row] = vec4f(mean, epsilon, rstd, 0.0); }

  for (var c = lane; c < n; c += SIZE) {
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
