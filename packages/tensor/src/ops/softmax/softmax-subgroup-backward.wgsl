// dx_c = y_c (dy_c − Σ_k dy_k y_k) for each contiguous row, or with LOG dx_c = dy_c − exp(y_c) Σ_k dy_k, with a row in registers.
//
// Mapping and sum: as in softmax-subgroup.wgsl. Traffic: y and dy are read once, dx written once.
enable subgroups;
alias Lanes = vec4f;  // elements that are read at once
const WIDTH = 4u;     // how many these are
const VECTORS = 2u;   // of a row, in each invocation's registers
override LOG: bool = false;
override SIZE: u32 = 128; // invocations in a workgroup
override TEAM: u32 = 32;  // invocations for a row: a power of two; SIZE if more than SPAN
override SPAN: u32 = 32;  // invocations that swap registers: a power of two, at most TEAM and the smallest subgroup

struct Params { rows: u32, vectors: u32 } // vectors: of a row

@group(0) @binding(0) var<storage, read> y: array<Lanes>;        // [rows, vectors]
@group(0) @binding(1) var<storage, read> dy: array<Lanes>;       // [rows, vectors]
@group(0) @binding(2) var<storage, read_write> dx: array<Lanes>; // [rows, vectors]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, SIZE / SPAN>; // of each span

// The sum of the team's values, for all of it.
fn sum_all(mine: f32, lane: u32) -> f32 {
  var sum = mine;
  for (var distance = 1u; distance < SPAN; distance *= 2u) { sum += subgroupShuffleXor(sum, distance); }
  if (TEAM == SPAN) { return sum; }
  sums[lane / SPAN] = sum; // the same from all invocations of the span
  workgroupBarrier();      // all spans' sums are written
  sum = 0.0;
  for (var span = 0u; span < TEAM / SPAN; span++) { sum += sums[span]; }
  return sum;
}

// The sum of the lanes; vec4f(v) repeats an f32 four times.
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

  var outputs: array<Lanes, VECTORS>; // the loops over these are unrolled, so they lie in registers
  var upstream: array<Lanes, VECTORS>;
  for (var k = 0u; k < VECTORS; k++) {
    let at = first + min(member + k * TEAM, params.vectors - 1u); // beyond the end: the last again
    outputs[k] = y[at];
    upstream[k] = dy[at];
  }
  var part = Lanes();
  for (var k = 0u; k < VECTORS; k++) {
    var term = upstream[k];
    if (!LOG) { term *= outputs[k]; }
    part += select(Lanes(), term, member + k * TEAM < params.vectors);
  }
  var sum = sum_all(sum_of(part), lane);
  if (LOG && has_nan(outputs[0])) { sum = sum_of(outputs[0]); } // then all of the row is NaN

  for (var k = 0u; k < VECTORS; k++) {
    let at = member + k * TEAM;
    if (at < params.vectors && row < params.rows) {
      if (LOG) { dx[first + at] = upstream[k] - exp(outputs[k]) * sum; } else { dx[first + at] = outputs[k] * (upstream[k] - sum); }
    }
  }
}
