// dx_c = y_c (dy_c − Σ_k dy_k y_k) for each contiguous row, or with LOG dx_c = dy_c − exp(y_c) Σ_k dy_k: softmax-rows-backward.wgsl for GPUs.
//
// Mapping: one workgroup per row, the sum by a tree in workgroup memory. Traffic: y and dy are read twice (the second time from cache), dx written once.
override LOG: bool = false;
override SIZE: u32 = 64; // invocations in a workgroup, a power of two

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;        // [rows, cols]
@group(0) @binding(1) var<storage, read> dy: array<f32>;       // [rows, cols]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tree: array<f32, SIZE>;

// The sum of the workgroup's values, for all of it.
fn sum_all(mine: f32, lane: u32) -> f32 {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] += tree[lane + half]; }
  }
  return workgroupUniformLoad(&tree[0]); // waits before it reads, and until all have read
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * workgroups.x;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
  let end = first + params.cols;

  var part = 0.0;
  for (var i = first + lane; i < end; i += SIZE) {
    if (LOG) { part += dy[i]; } else { part += dy[i] * y[i]; }
  }
  let sum = sum_all(part, lane);
  for (var i = first + lane; i < end; i += SIZE) {
    if (LOG) { dx[i] = dy[i] - exp(y[i]) * sum; } else { dx[i] = y[i] * (dy[i] - sum); }
  }
}
