// dh = rstd (g − mean g − x̂ · mean(g x̂)) for each row, with g = dy · weight and x̂ = (h − μ) rstd: norm-rows-backward.wgsl for GPUs.
//
// Mapping: one workgroup per row, sums by a tree in workgroup memory. Traffic: dy and h are read twice (the second time from cache), dx written once.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
override CENTER: bool = true;
override WEIGHT: bool = true;
override DROP: bool = false; // x had dropout before the residual was added
override SIZE: u32 = 64; // invocations in a workgroup, a power of two

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

fn normalized(i: u32, row_stats: vec4f) -> Lanes {
  return ((h[i] - row_stats.x) - row_stats.y) * row_stats.z;
}

fn upstream(i: u32, c: u32) -> Lanes {
  if (WEIGHT) { return dy[i] * weight[c]; }
  return dy[i];
}

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
  let row_stats = stats[row];

  var shift = Lanes();
  var stretch = Lanes();
  for (var c = lane; c < n; c += SIZE) {
    let g = upstream(first + c, c);
    shift += g;
    stretch += g * normalized(first + c, row_stats);
  }
  let means = sum_all(vec2f(across(shift), across(stretch)), lane) / f32(params.cols);
  let mean_g = select(0.0, means.x, CENTER);
  for (var c = lane; c < n; c += SIZE) {
    let i = first + c;
    let d = ((upstream(i, c) - mean_g) - normalized(i, row_stats) * means.y) * row_stats.z;
    dh[i] = d;
    if (DROP) { dx[i] = dropped(d, i); }
  }
}
