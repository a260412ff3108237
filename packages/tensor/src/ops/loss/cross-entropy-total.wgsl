// The losses of all rows as one: y = Σ loss, or with MEAN Σ loss / Σ divisor. Also writes what backward multiplies by.
//
// Mapping: one workgroup; each invocation adds up every LANES-th row, a tree in workgroup memory the rest. Always the same order.
override MEAN: bool = true;
override LANES: u32 = 256; // a power of two

struct Params { rows: u32 }

@group(0) @binding(0) var<storage, read> loss: array<f32>;        // [rows]
@group(0) @binding(1) var<storage, read> stats: array<vec4f>;     // [rows]: …, …, …, divisor
@group(0) @binding(2) var<storage, read_write> y: array<f32>;     // [1]
@group(0) @binding(3) var<storage, read_write> scale: array<f32>; // [1]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<vec2f, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec2f();
  for (var row = lane; row < params.rows; row += LANES) { sum += vec2f(loss[row], stats[row].w); }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) {
    let divisor = select(1.0, sums[0].y, MEAN);
    y[0] = sums[0].x / divisor; // every row ignored: 0 / 0, a NaN as in PyTorch
    scale[0] = 1.0 / divisor;
  }
}
