// y = softmax(x), or its logarithm with LOG, for each contiguous row: softmax-rows.wgsl, which has the formulas, with a row in registers.
//
// Mapping: a team of TEAM neighbouring invocations shares a row, each of them VECTORS of its vectors; SIZE / TEAM rows in a workgroup.
// Invocations of a subgroup swap registers: after log2(SPAN) swaps, each of SPAN neighbours knows the result, without memory or
// barriers. Only a team of several spans needs workgroup memory, and one barrier. Traffic: x is read once, y written once.
enable subgroups;
alias Lanes = vec4f;  // elements that are read at once
const WIDTH = 4u;     // how many these are
const VECTORS = 2u;   // of a row, in each invocation's registers
override LOG: bool = false;
override SIZE: u32 = 128; // invocations in a workgroup
override TEAM: u32 = 32;  // invocations for a row: a power of two; SIZE if more than SPAN
override SPAN: u32 = 32;  // invocations that swap registers: a power of two, at most TEAM and the smallest subgroup

struct Params { rows: u32, vectors: u32 } // vectors: of a row

@group(0) @binding(0) var<storage, read> x: array<Lanes>;       // [rows, vectors]
@group(0) @binding(1) var<storage, read_write> y: array<Lanes>; // [rows, vectors]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> maxima: array<f32, SIZE / SPAN>; // of each span
var<workgroup> sums: array<f32, SIZE / SPAN>;

// The largest of the team's values, for all of it.
fn max_all(mine: f32, lane: u32) -> f32 {
  var m = mine;
  for (var distance = 1u; distance < SPAN; distance *= 2u) { m = max(m, subgroupShuffleXor(m, distance)); }
  if (TEAM == SPAN) { return m; }
  maxima[lane / SPAN] = m; // the same from all invocations of the span
  workgroupBarrier();      // all spans' maxima are written
  for (var span = 0u; span < TEAM / SPAN; span++) { m = max(m, maxima[span]); }
  return m;
}

// The sum of the team's values, for all of it.
fn sum_all(mine: f32, lane: u32) -> f32 {
  var sum = mine;
  for (var distance = 1u; distance < SPAN; distance *= 2u) { sum += subgroupShuffleXor(sum, distance); }
  if (TEAM == SPAN) { return sum; }
  sums[lane / SPAN] = sum;
  workgroupBarrier(); // all spans' sums are written
  sum = 0.0;
  for (var span = 0u; span < TEAM / SPAN; span++) { sum += sums[span]; }
  return sum;
}

// The largest lane, and the sum of all; vec4f(v) repeats an f32 four times.
fn max_of(v: Lanes) -> f32 {
  let w = vec4f(v);
  return max(max(w.x, w.y), max(w.z, w.w));
}
fn sum_of(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

// Whether a lane is NaN: by the bits, for WGSL may assume that none is, and its exp and log may make anything of it.
fn has_nan(v: Lanes) -> bool { return any((bitcast<vec4u>(vec4f(v)) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u)); }

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = (group.x + group.y * workgroups.x) * (SIZE / TEAM) + lane / TEAM;
  let first = min(row, params.rows - 1u) * params.vectors; // nobody leaves early: swapping takes all invocations
  let member = lane % TEAM;

  var held: array<Lanes, VECTORS>; // the loops over it are unrolled, so it lies in registers
  for (var k = 0u; k < VECTORS; k++) { held[k] = x[first + min(member + k * TEAM, params.vectors - 1u)]; } // beyond the end: the last again
  var top = held[0];
  for (var k = 1u; k < VECTORS; k++) { top = max(top, held[k]); }
  let m = max_all(max_of(top), lane);

  var part = Lanes();
  for (var k = 0u; k < VECTORS; k++) {
    let e = exp(held[k] - m);
    part += select(Lanes(), e, member + k * TEAM < params.vectors);
    if (has_nan(held[k])) { part = held[k]; }
    if (!LOG) { held[k] = e; }
  }
  let sum = sum_all(sum_of(part), lane);

  let log_sum = select(log(sum), sum, has_nan(Lanes(sum))); // taken off after m, since m + ln Σ would round the logarithm to m's last digit
  let scale = 1.0 / sum;
  for (var k = 0u; k < VECTORS; k++) {
    let at = member + k * TEAM;
    if (at < params.vectors && row < params.rows) {
      if (LOG) { y[first + at] = (held[k] - m) - log_sum; } else { y[first + at] = held[k] * scale; }
    }
  }
}
