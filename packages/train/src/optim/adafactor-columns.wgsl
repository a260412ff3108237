// Sums of squares of a matrix g [R, C] along its columns, of 64 rows at a time; adafactor-columns-mean.wgsl merges them.
//
// Mapping: workgroup (x, y): 64 columns side by side, 64 rows; one invocation per column. Traffic: g is read once.
const LANES = 64u;
const CHUNK = 64u; // rows

struct Params { rows: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> g: array<f32>;              // [R, C]
@group(0) @binding(1) var<storage, read_write> partials: array<f32>; // [R / 64, C]
@group(0) @binding(2) var<storage, read> clock: array<vec4f>;        // first: the factor
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  if (j >= params.cols) { return; }
  let factor = clock[0].x;
  let end = min(params.rows, (id.y + 1u) * CHUNK);
  var sum = 0.0;
  for (var i = id.y * CHUNK; i < end; i++) {
    let x = g[i * params.cols + j] * factor;
    sum += x * x;
  }
  partials[id.y * params.cols + j] = sum;
}
