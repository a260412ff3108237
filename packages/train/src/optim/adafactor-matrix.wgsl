// The step of Adafactor for a matrix, in place: p ← p − decay · p − factor · g_ij / √(r_i c_j), with factor and decay from
// adafactor-scale.wgsl. With MOMENTUM it steps by the average m ← β₁ m + (1 − β₁) update instead.
//
// Mapping: one workgroup per row, its lanes side by side along it. Traffic: reads g and p, writes p: 12 bytes an element (m: 8 more).
override MOMENTUM: bool = false;

const LANES = 64u;

struct Params {
  rows: u32,
  cols: u32,
  beta1: f32,
  one_minus_beta1: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<f32>; // [R, C]
@group(0) @binding(1) var<storage, read> g: array<f32>;       // [R, C]
@group(0) @binding(2) var<storage, read_write> m: array<f32>; // [R, C] with MOMENTUM
@group(0) @binding(3) var<storage, read> r: array<f32>;       // [R]
@group(0) @binding(4) var<storage, read> c: array<f32>;       // [C]
@group(0) @binding(5) var<storage, read> scale: array<vec2f>; // [1]: factor, decay
@group(0) @binding(6) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = workgroup.x + workgroup.y * workgroups.x;
  let now = clock[0];
  if (i >= params.rows || now.y == 0.0) { return; }
  let inverse = inverseSqrt(r[i]);
  let factor = scale[0].x;
  let decay = scale[0].y;
  for (var j = lane; j < params.cols; j += LANES) {
    let at = i * params.cols + j;
    var update = g[at] * now.x * inverse * inverseSqrt(c[j]) * factor;
    if (MOMENTUM) {
      update = params.beta1 * m[at] + params.one_minus_beta1 * update;
      m[at] = update;
    }
    p[at] = p[at] - decay * p[at] - update;
  }
}
