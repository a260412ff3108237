// dx_c = y_c (dy_c − Σ_k dy_k y_k) for each contiguous row, or with LOG dx_c = dy_c − exp(y_c) Σ_k dy_k, for long rows on GPUs.
//
// Mapping: one workgroup per row, the sum by a tree in workgroup memory. Traffic: y and dy are read twice (the second time from
// cache if the row fits there), dx written once.
alias Lanes = f32; // elements that are read at once: vec4f where rows are whole vec4s
const WIDTH = 1u;  // how many these are
override LOG: bool = false;
override SIZE: u32 = 256; // invocations in a workgroup, a power of two

struct Params { rows: u32, vectors: u32 } // vectors: of a row

@group(0) @binding(0) var<storage, read> y: array<Lanes>;        // [rows, vectors]
@group(0) @binding(1) var<storage, read> dy: array<Lanes>;       // [rows, vectors]
@group(0) @binding(2) var<storage, read_write> dx: array<Lanes>; // [rows, vectors]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tree: array<f32, SIZE>;

// The sum of the workgroup's values, for all of it.
fn sum_all(mine: f32, lane: u32) -> f32 {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] += tree[lane + half]; }
  }
  return workgroupUniformLoad(&tree[0]); // waits before it reads
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
  let row = group.x + group.y * workgroups.x;
  if (row >= params.rows) { return; } // the whole workgroup
  let first = row * params.vectors;
  let end = first + params.vectors;

  var part = Lanes();
  for (var i = first + lane; i < end; i += SIZE) {
    if (LOG) { part += dy[i]; } else { part += dy[i] * y[i]; }
  }
  var sum = sum_all(sum_of(part), lane);
  if (LOG && has_nan(y[first])) { sum = sum_of(y[first]); } // then all of the row is NaN
  for (var i = first + lane; i < end; i += SIZE) {
    if (LOG) { dx[i] = dy[i] - exp(y[i]) * sum; } else { dx[i] = y[i] * (dy[i] - sum); }
  }
}
