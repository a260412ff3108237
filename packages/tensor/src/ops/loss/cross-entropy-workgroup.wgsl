// loss = Σ_c q_c (lse − x_c) for each row of logits: cross-entropy-rows.wgsl, which explains the formula, for GPUs and rows
// of many classes that lie side by side.
//
// Online: maximum and Σ exp(x − m) in one pass; when a larger m' turns up, what was summed is brought to it by exp(m − m').
// Mapping: one workgroup per row, neighbours reading neighbours; a tree in workgroup memory joins what they found, which holds at
// every subgroup size. Traffic: x is read once, by vec4, of which a row's first and last
// may reach into other rows; once more, from cache, if q has many classes.
override SOFT: bool = false;      // the target holds probabilities, not class indices
override WEIGHT: bool = false;    // classes have weights
override SMOOTHING: bool = false; // label smoothing is on
override SIZE: u32 = 256;         // invocations in a workgroup, a power of two

const LOWEST = -0x1.fffffep+127; // finite: from −∞, the maximum of a row that begins with −∞ would become NaN

struct Params { rows: u32, cols: u32, ignore_index: i32, smoothing: f32, nan: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;           // [rows · cols / 4]
@group(0) @binding(1) var<storage, read> target_of: array<u32>;     // [rows] indices, or [rows, cols] bits of probabilities
@group(0) @binding(2) var<storage, read> weight: array<f32>;        // [cols]
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;    // [rows]
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // [rows]: m, ln Σ exp(x − m), Σ q, the row's part of the mean's divisor
@group(0) @binding(5) var<uniform> params: Params;

struct Online { m: f32, sum: f32 } // Σ exp(x − m) of some elements, and their m = max x

fn join(a: Online, b: Online) -> Online {
  let m = max(a.m, b.m);
  return Online(m, a.sum * exp(a.m - m) + b.sum * exp(b.m - m));
}

var<workgroup> found: array<Online, SIZE>;
var<workgroup> tree: array<vec2f, SIZE>;

// What all invocations of the workgroup have found, for all of them.
fn join_all(mine: Online, lane: u32) -> Online {
  found[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { found[lane] = join(found[lane], found[lane + half]); }
  }
  return workgroupUniformLoad(&found[0]); // waits before it reads
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

fn max_of(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn sum_of(v: vec4f) -> f32 { return dot(v, vec4f(1.0)); }

// Element i of x.
fn logit(i: u32) -> f32 { return x[i / 4u][i % 4u]; }

fn weight_of(c: u32) -> f32 {
  if (WEIGHT) { return weight[c]; }
  return 1.0;
}

// q_c; `label` is the target's class.
fn mass(row: u32, c: u32, label: u32) -> f32 {
  var p = 0.0;
  if (SOFT) { p = bitcast<f32>(target_of[row * params.cols + c]); } else { p = f32(c == label); }
  if (SMOOTHING) { p = p * (1.0 - params.smoothing) + params.smoothing / f32(params.cols); }
  return p * weight_of(c);
}

// Whether x is NaN: by the bits, for WGSL may assume that nothing is, and its exp and log may make anything of it.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

// e^v, of NaN NaN.
fn exp_of(v: vec4f) -> vec4f {
  return select(exp(v), v, (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * workgroups.x;
  if (row >= params.rows) { return; } // the whole workgroup
  let first = row * params.cols;
  let end = first + params.cols;
  var label = 0u;
  if (!SOFT) { label = target_of[row]; }

  var mine = Online(LOWEST, 0.0);
  for (var i = first / 4u + lane; i < (end + 3u) / 4u; i += SIZE) {
    let place = 4u * i + vec4u(0u, 1u, 2u, 3u);
    let inside = (place >= vec4u(first)) & (place < vec4u(end));
    let v = select(vec4f(LOWEST), x[i], inside);
    let m = max(mine.m, max_of(v));
    mine = Online(m, mine.sum * exp(mine.m - m) + sum_of(select(vec4f(), exp_of(v - m), inside)));
  }
  let all = join_all(mine, lane);
  let m = all.m;
  let log_sum = select(log(all.sum), all.sum, is_nan(all.sum));

  var sums = vec2f(); // Σ q (m − x_c), Σ q
  if (SOFT || SMOOTHING) {
    for (var c = lane; c < params.cols; c += SIZE) {
      let q_c = mass(row, c, label);
      sums += vec2f(q_c * (m - logit(first + c)), q_c);
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
    if (label >= params.cols) { // no such class: an error that only the result can show
      loss[row] = bitcast<f32>(params.nan);
      stats[row] = vec4f(bitcast<f32>(params.nan));
      return;
    }
    divisor = weight_of(label);
    if (!SMOOTHING) { sums = vec2f(divisor * (m - logit(first + label)), divisor); }
  }
  loss[row] = sums.x + sums.y * log_sum;
  stats[row] = vec4f(m, log_sum, select(sums.y, log_sum, is_nan(log_sum)), divisor); // NaN for backward, whatever its exp does
}
