// Adafactor keeps of a matrix g [R, C] the mean square of each row and of each column instead of every element's: R + C numbers.
// Here the rows: r_i ← β r_i + (1 − β) (mean_j g_ij² + ε), with 1 − β = t^decay_rate.
//
// g is multiplied by a factor on the way in, as in adamw.wgsl.
// Mapping: one workgroup per four rows, 16 lanes side by side along each. Traffic: g is read once.
const LANES = 64u;
const PER_ROW = 16u; // lanes

struct Params {
  rows: u32,
  cols: u32,
  record: u32,     // where the clock counts this parameter's steps; 0: the host does, in t
  t: f32,          // steps, with this one
  decay_rate: f32, // below 0
  eps: f32,
}

@group(0) @binding(0) var<storage, read> g: array<f32>;       // [R, C]
@group(0) @binding(1) var<storage, read_write> r: array<f32>; // [R]
@group(0) @binding(2) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % PER_ROW;
  let i = (workgroup.x + workgroup.y * workgroups.x) * (LANES / PER_ROW) + local / PER_ROW;
  let now = clock[0];
  let row = min(i, params.rows - 1u) * params.cols;
  var sum = 0.0;
  for (var j = lane; j < params.cols; j += PER_ROW) {
    let x = g[row + j] * now.x;
    sum += x * x;
  }
  sums[local] = sum;
  for (var half = PER_ROW / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half of a row's lanes reads what the upper half has written
    if (lane < half) { sums[local] += sums[local + half]; }
  }
  if (lane > 0u || i >= params.rows || now.y == 0.0) { return; }
  let t = select(params.t, clock[params.record].x, params.record > 0u);
  let gain = exp2(params.decay_rate * log2(t));
  r[i] = (1.0 - gain) * r[i] + gain * (sums[local] / f32(params.cols) + params.eps);
}
