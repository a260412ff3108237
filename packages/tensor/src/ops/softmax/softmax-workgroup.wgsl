// y = softmax(x), or its logarithm with LOG, for each contiguous row: softmax-rows.wgsl, which has the formulas, for GPUs.
//
// Mapping: one workgroup per row. Neighbouring invocations read neighbouring elements; maximum and sum go through a tree in
// workgroup memory, which holds at every subgroup size. Traffic: x is read three times (the second and third time from cache),
// y written once.
override LOG: bool = false;
override SIZE: u32 = 64; // invocations in a workgroup, a power of two

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [rows, cols]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [rows, cols]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> tree: array<f32, SIZE>;

// The largest of the workgroup's values, for all of it.
fn max_all(mine: f32, lane: u32) -> f32 {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] = max(tree[lane], tree[lane + half]); }
  }
  return workgroupUniformLoad(&tree[0]); // waits before it reads, and until all have read
}

// The sum of the workgroup's values, for all of it.
fn sum_all(mine: f32, lane: u32) -> f32 {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] += tree[lane + half]; }
  }
  return workgroupUniformLoad(&tree[0]);
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

  var top = x[first];
  for (var i = first + lane; i < end; i += SIZE) { top = max(top, x[i]); }
  let m = max_all(top, lane);
  var part = 0.0;
  for (var i = first + lane; i < end; i += SIZE) { part += exp(x[i] - m); }
  let sum = sum_all(part, lane);

  if (LOG) {
    let log_sum = log(sum); // taken off after m, since m + ln Σ would round the logarithm to m's last digit
    for (var i = first + lane; i < end; i += SIZE) { y[i] = (x[i] - m) - log_sum; }
  } else {
    let scale = 1.0 / sum;
    for (var i = first + lane; i < end; i += SIZE) { y[i] = exp(x[i] - m) * scale; }
  }
}
