// Of each row of a matrix, the sum of squares of Adafactor's update, and of the parameter: what its clipping and its scale are made of. The
// update is u_ij = g_ij √mean(r) / √(r_i c_j); √mean(r) is the same everywhere, so adafactor-scale.wgsl has it.
//
// Mapping: one workgroup per four rows, 16 lanes side by side along each. Traffic: g is read once; so is p, where SCALE asks for it.
override SCALE: bool = true;

const LANES = 64u;
const PER_ROW = 16u; // lanes

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;                // [R, C]
@group(0) @binding(1) var<storage, read> p: array<f32>;                // [R, C]
@group(0) @binding(2) var<storage, read> r: array<f32>;                // [R]
@group(0) @binding(3) var<storage, read> c: array<f32>;                // [C]
@group(0) @binding(4) var<storage, read_write> squares: array<vec2f>;  // [R]: of u / √mean(r), and of p
@group(0) @binding(5) var<storage, read> clock: array<vec4f>;          // first: the factor
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> sums: array<vec2f, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % PER_ROW;
  let i = (workgroup.x + workgroup.y * workgroups.x) * (LANES / PER_ROW) + local / PER_ROW;
  let row = min(i, params.rows - 1u);
  let factor = clock[0].x;
  let inverse = inverseSqrt(r[row]);
  var sum = vec2f();
  for (var j = lane; j < params.cols; j += PER_ROW) {
    let u = g[row * params.cols + j] * factor * inverse * inverseSqrt(c[j]);
    sum.x += u * u;
    if (SCALE) {
      let x = p[row * params.cols + j];
      sum.y += x * x;
    }
  }
  sums[local] = sum;
  for (var half = PER_ROW / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half of a row's lanes reads what the upper half has written
    if (lane < half) { sums[local] += sums[local + half]; }
  }
  if (lane == 0u && i < params.rows) { squares[i] = sums[local]; }
}
