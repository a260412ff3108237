// y_ij = scale (rows[i, r] + columns[j, r]) with r = numbers[i − j] − first: scores of relative positions, from tables with a score for
// each query (rows) and each key (columns) at each numbered distance.
//
// A number outside of the tables gives NaN: a kernel can't throw, and a number that looks right would be worse.
// Mapping: one invocation per element. Traffic: y is written once; tables come from cache but for their first use.
override ROWS: bool = true;
override COLUMNS: bool = true;

struct Params { size: u32, length: u32, width: u32, first: u32, middle: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> rows: array<f32>;    // [N, T, R]
@group(0) @binding(1) var<storage, read> columns: array<f32>; // [N, T, R]
@group(0) @binding(2) var<storage, read> numbers: array<u32>; // [2 · middle + 1]: of distance 0 in the middle
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [N, T, T]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let length = params.length;
  let i = e / length % length;
  let j = e % length;
  let table = e / (length * length) * length;
  let r = numbers[params.middle + i - j] - params.first;
  if (r >= params.width) {
    y[e] = bitcast<f32>(numbers[0] | 0x7fc00000u); // WGSL has no constant NaN
    return;
  }
  var sum = 0.0;
  if (ROWS) { sum += rows[(table + i) * params.width + r]; }
  if (COLUMNS) { sum += columns[(table + j) * params.width + r]; }
  y[e] = params.scale * sum;
}
