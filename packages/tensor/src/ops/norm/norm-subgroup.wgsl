// y = (h − μ) / √(σ² + eps) · weight + bias for each row of h = x, or x + residual: norm-rows.wgsl with the row in registers.
//
// Mapping: a team of TEAM neighbouring invocations shares a row, each of them VECTORS of its vectors; SIZE / TEAM rows in a workgroup.
// Invocations of a subgroup swap registers: after log2(SPAN) swaps, each of SPAN neighbours knows the sum, without memory or
// barriers. Only a team of several spans needs workgroup memory. Traffic: x (and residual) are read once, y written once, 16
// bytes of statistics per row; with a residual, h is written too.
enable subgroups;
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
const VECTORS = 6u;  // of a row, in each invocation's registers
override CENTER: bool = true;
override RESIDUAL: bool = false; // only with CENTER
override WEIGHT: bool = true;
override BIAS: bool = true;
override SIZE: u32 = 128; // invocations in a workgroup
override TEAM: u32 = 32;  // invocations for a row: a power of two; SIZE if more than SPAN
override SPAN: u32 = 32;  // invocations that swap registers: a power of two, at most TEAM and the smallest subgroup

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

var<workgroup> totals: array<f32, SIZE / SPAN>;    // of each span
var<workgroup> moments: array<vec2f, SIZE / SPAN>;

// The sum over the span, for all of it.
fn sum_span(mine: vec2f) -> vec2f {
  var sum = mine;
  for (var distance = 1u; distance < SPAN; distance *= 2u) { sum += subgroupShuffleXor(sum, distance); }
  return sum;
}

// The sum over the team, for all of it.
fn sum_total(mine: f32, lane: u32) -> f32 {
  var sum = sum_span(vec2f(mine, 0.0)).x;
  if (TEAM == SPAN) { return sum; }
  totals[lane / SPAN] = sum; // the same from all invocations of the span
  workgroupBarrier();        // all spans' sums are written
  sum = 0.0;
  for (var span = 0u; span < TEAM / SPAN; span++) { sum += totals[span]; }
  return sum;
}

fn sum_moments(mine: vec2f, lane: u32) -> vec2f {
  var sum = sum_span(mine);
  if (TEAM == SPAN) { return sum; }
  moments[lane / SPAN] = sum;
  workgroupBarrier(); // all spans' sums are written
  sum = vec2f();
  for (var span = 0u; span < TEAM / SPAN; span++) { sum += moments[span]; }
  return sum;
}

// The sum of the lanes; vec4f(v) repeats an f32 four times.
fn across(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.x + group.y * workgroups.x) * (SIZE / TEAM) + lane / TEAM;
  let n = params.cols / WIDTH;
  let first = min(row, params.rows - 1u) * n; // nobody leaves early: swapping takes all invocations
  let member = lane % TEAM;
  let scale = 1.0 / f32(params.cols);

  var held: array<Lanes, VECTORS>; // the loops over it are unrolled, so it lies in registers
  for (var k = 0u; k < VECTORS; k++) { held[k] = x[first + min(member + k * TEAM, n - 1u)]; } // beyond the end: the last again
  var total = Lanes();
  for (var k = 0u; k < VECTORS; k++) {
    let c = member + k * TEAM;
    if (RESIDUAL) {
      held[k] = dropped(held[k], first + c) + residual[first + min(c, n - 1u)];
      if (c < n && row < params.rows) { h[first + c] = held[k]; }
    }
    total += select(Lanes(), held[k], c < n);
  }
  var mean = 0.0;
  if (CENTER) { mean = sum_total(across(total), lane) * scale; }

  var left = Lanes();
  var squares = Lanes();
  for (var k = 0u; k < VECTORS; k++) {
    let d = select(Lanes(), held[k] - mean, member + k * TEAM < n);
    left += d;
    squares += d * d;
  }
  let means = sum_moments(vec2f(across(left), across(squares)), lane) * scale;
  let epsilon = select(0.0, means.x, CENTER);
  let rstd = inverse_root(at_least_zero(means.y - epsilon * epsilon) + params.eps);
  if (row >= params.rows) { return; }
  if (member == 0u) { stats[row] = vec4f(mean, epsilon, rstd, 0.0); }

  for (var k = 0u; k < VECTORS; k++) {
    let c = member + k * TEAM;
    if (c < n) {
      var v = ((held[k] - mean) - epsilon) * rstd;
      if (WEIGHT) { v *= weight[c]; }
      if (BIAS) { v += bias[c]; }
      if (!RESIDUAL) { v = dropped(v, first + c); }
      y[first + c] = v;
    }
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
