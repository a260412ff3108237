// dh = rstd (g − mean g − x̂ · mean(g x̂)) for each row, with g = dy · weight and x̂ = (h − μ) rstd: norm-rows-backward.wgsl with g and x̂
// in registers.
//
// Mapping: as in norm-subgroup.wgsl. Traffic: dy and h are read once, dh is written once, and so is dx with DROP.
enable subgroups;
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
const VECTORS = 6u;  // of a row, in each invocation's registers
override CENTER: bool = true;
override WEIGHT: bool = true;
override DROP: bool = false; // x had dropout before the residual was added
override SIZE: u32 = 128; // invocations in a workgroup
override TEAM: u32 = 32;  // invocations for a row: a power of two; SIZE if more than SPAN
override SPAN: u32 = 32;  // invocations that swap registers: a power of two, at most TEAM and the smallest subgroup

struct Params {
  rows: u32,
  cols: u32,
  threshold: u32, // for dropped(), as in dropout.wgsl
  rescale: f32,
  counter: vec4u,
  key: vec2u,
}

@group(0) @binding(0) var<storage, read> dy: array<Lanes>;       // [rows, cols]
@group(0) @binding(1) var<storage, read> h: array<Lanes>;        // [rows, cols]
@group(0) @binding(2) var<storage, read> weight: array<Lanes>;   // [cols]
@group(0) @binding(3) var<storage, read> stats: array<vec4f>;    // [rows]: mean, ε, rstd
@group(0) @binding(4) var<storage, read_write> dh: array<Lanes>; // [rows, cols]: of the residual, and of x unless DROP
@group(0) @binding(5) var<storage, read_write> dx: array<Lanes>; // [rows, cols]: dh through the dropout, with DROP
@group(0) @binding(6) var<uniform> params: Params;

fn dropped(v: Lanes, i: u32) -> Lanes { return v; }

var<workgroup> sums: array<vec2f, SIZE / SPAN>; // of each span

// The sum over the team, for all of it.
fn sum_all(mine: vec2f, lane: u32) -> vec2f {
  var sum = mine;
  for (var distance = 1u; distance < SPAN; distance *= 2u) { sum += subgroupShuffleXor(sum, distance); }
  if (TEAM == SPAN) { return sum; }
  sums[lane / SPAN] = sum; // the same from all invocations of the span
  workgroupBarrier();      // all spans' sums are written
  sum = vec2f();
  for (var span = 0u; span < TEAM / SPAN; span++) { sum += sums[span]; }
  return sum;
}

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
  let row_stats = stats[min(row, params.rows - 1u)];

  var g: array<Lanes, VECTORS>; // the loops over them are unrolled, so they lie in registers
  var normalized: array<Lanes, VECTORS>;
  for (var k = 0u; k < VECTORS; k++) {
    let i = first + min(member + k * TEAM, n - 1u); // beyond the end: the last again
    g[k] = dy[i];
    normalized[k] = h[i];
  }
  var shift = Lanes();
  var stretch = Lanes();
  for (var k = 0u; k < VECTORS; k++) {
    let c = member + k * TEAM;
    if (WEIGHT) { g[k] *= weight[min(c, n - 1u)]; }
    normalized[k] = ((normalized[k] - row_stats.x) - row_stats.y) * row_stats.z;
    shift += select(Lanes(), g[k], c < n);
    stretch += select(Lanes(), g[k] * normalized[k], c < n);
  }
  let means = sum_all(vec2f(across(shift), across(stretch)), lane) / f32(params.cols);
  let mean_g = select(0.0, means.x, CENTER);
  if (row >= params.rows) { return; }
  for (var k = 0u; k < VECTORS; k++) {
    let c = member + k * TEAM;
    if (c < n) {
      let d = ((g[k] - mean_g) - normalized[k] * means.y) * row_stats.z;
      dh[first + c] = d;
      if (DROP) { dx[first + c] = dropped(d, first + c); }
    }
  }
}
