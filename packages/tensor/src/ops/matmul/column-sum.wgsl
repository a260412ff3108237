// y_j = Σ_i x_ij: the sum of each column of a matrix, such as the gradient of a bias.
//
// Mapping: one invocation per column; neighbours read neighbours. Rows are summed in blocks, so that rounding errors grow with the
// number of blocks rather than of rows. Traffic: x is read once, y written once.
struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [rows, cols]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [cols]
@group(0) @binding(2) var<uniform> params: Params;

const BLOCK = 32u; // rows

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let col = id.x + id.y * workgroups.x * 8u;
  if (col >= params.cols) { return; }
  var sum = 0.0;
  for (var block = 0u; block < params.rows; block += BLOCK) {
    var part = 0.0;
    for (var row = block; row < min(block + BLOCK, params.rows); row++) { part += x[row * params.cols + col]; }
    sum += part;
  }
  y[col] = sum;
}
