// dh = rstd (g − mean g − x̂ · mean(g x̂)) for each row, with g = dy · weight and x̂ = (h − μ) rstd. Without CENTER: no mean g.
//
// A norm doesn't see a row's shift (mean g) nor its scale (x̂ mean(g x̂)): the gradient has no part in these directions.
// Mapping: one invocation per row, for CPU adapters. Traffic: dy and h are read twice (the second time from cache), dx written once.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
override CENTER: bool = true;
override WEIGHT: bool = true;
override DROP: bool = false; // x had dropout before the residual was added
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

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

fn normalized(i: u32, row_stats: vec4f) -> Lanes {
  return ((h[i] - row_stats.x) - row_stats.y) * row_stats.z;
}

fn upstream(i: u32, c: u32) -> Lanes {
  if (WEIGHT) { return dy[i] * weight[c]; }
  return dy[i];
}

fn across(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let n = params.cols / WIDTH;
  let first = row * n;
  let row_stats = stats[row];

  var shift = Lanes();
  var stretch = Lanes();
  for (var c = 0u; c < n; c++) {
    let g = upstream(first + c, c);
    shift += g;
    stretch += g * normalized(first + c, row_stats);
  }
  let mean_g = select(0.0, across(shift) / f32(params.cols), CENTER);
  let mean_gx = across(stretch) / f32(params.cols);
  for (var c = 0u; c < n; c++) {
    let i = first + c;
    let d = ((upstream(i, c) - mean_g) - normalized(i, row_stats) * mean_gx) * row_stats.z;
    dh[i] = d;
    if (DROP) { dx[i] = dropped(d, i); }
  }
}
