// loss = Σ_c q_c (lse − x_c) for each row of logits: cross-entropy-rows.wgsl, which explains the formula, for GPUs and rows
// of many classes that lie side by side.
//
// Mapping: one workgroup per row. Neighbouring invocations read neighbouring logits; maximum and sums go through a tree in
// workgroup memory, which holds at every subgroup size. Traffic: x is read twice (three times if q has many classes).
override SOFT: bool = false;      // the target holds probabilities, not class indices
override WEIGHT: bool = false;    // classes have weights
override SMOOTHING: bool = false; // label smoothing is on
override SIZE: u32 = 256;         // invocations in a workgroup, a power of two

struct Params { rows: u32, cols: u32, ignore_index: i32, smoothing: f32, nan: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;             // [rows, cols]
@group(0) @binding(1) var<storage, read> target_of: array<u32>;     // [rows] indices, or [rows, cols] bits of probabilities
@group(0) @binding(2) var<storage, read> weight: array<f32>;        // [cols]
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;    // [rows]
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // [rows]: m, ln Σ exp(x − m), Σ q, the row's part of the mean's divisor
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> tree: array<vec2f, SIZE>;

// The largest of the workgroup's values, for all of it.
fn max_all(mine: f32, lane: u32) -> f32 {
  tree[lane].x = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane].x = max(tree[lane].x, tree[lane + half].x); }
  }
  return workgroupUniformLoad(&tree[0]).x; // waits before it reads, and until all have read
}

// The sum of the workgroup's values, for all of it.
fn sum_all(mine: vec2f, lane: u32) -> vec2f {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] += tree[lane + half]; }
  }
  return workgroupUniformLoad(&tree[0]);
}

fn weight_of(c: u32) -> f32 {
  if (WEIGHT) { return weight[c]; }
  return 1.0;
}

// q_c; `i` is the element of x, `label` the target's class.
fn mass(c: u32, i: u32, label: u32) -> f32 {
  var p = 0.0;
  if (SOFT) { p = bitcast<f32>(target_of[i]); } else { p = f32(c == label); }
  if (SMOOTHING) { p = p * (1.0 - params.smoothing) + params.smoothing / f32(params.cols); }
  return p * weight_of(c);
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
  var label = 0u;
  if (!SOFT) { label = target_of[row]; }

  var top = x[first];
  for (var i = first + lane; i < end; i += SIZE) { top = max(top, x[i]); }
  let m = max_all(top, lane);
  var part = 0.0;
  for (var i = first + lane; i < end; i += SIZE) { part += exp(x[i] - m); }
  let log_sum = log(sum_all(vec2f(part), lane).x);

  var sums = vec2f(); // Σ q (m − x_c), Σ q
  if (SOFT || SMOOTHING) {
    for (var c = lane; c < params.cols; c += SIZE) {
      let q_c = mass(c, first + c, label);
      sums += vec2f(q_c * (m - x[first + c]), q_c);
    }
    sums = sum_all(sums, lane);
  }
  if (lane != 0u) { return; }

  var divisor = 1.0;
  if (!SOFT) {
    if (bitcast<i32>(label) == params.ignore_index) {
      loss[row] = 0.0;
      stats[row] = vec4f();
      return;
    }
    if (label >= params.cols) { // no such class: an error that only the result can tell of
      loss[row] = bitcast<f32>(params.nan);
      stats[row] = vec4f(bitcast<f32>(params.nan));
      return;
    }
    divisor = weight_of(label);
    if (!SMOOTHING) { sums = vec2f(divisor * (m - x[first + label]), divisor); }
  }
  loss[row] = sums.x + sums.y * log_sum;
  stats[row] = vec4f(m, log_sum, sums.y, divisor);
}
