// da = dy · scale · (k b − k_a a), with k and k_a of each line from cosine.wgsl. db likewise, with a and b exchanged and k_b: SECOND.
//
// Mapping: one invocation per line. Traffic: a and b are read once, da written once.
override SECOND: bool = false;
override EACH: bool = true; // dy has an element for each line, not one for all

struct Params { rows: u32, cols: u32, inner: u32, scale: f32 } // inner: elements between neighbours of a line

@group(0) @binding(0) var<storage, read> a: array<f32>;        // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read> b: array<f32>;        // [rows / inner, cols, inner]
@group(0) @binding(2) var<storage, read> stats: array<vec4f>;  // [rows]: k, k_a, k_b
@group(0) @binding(3) var<storage, read> dy: array<f32>;       // [rows] or [1]
@group(0) @binding(4) var<storage, read_write> da: array<f32>; // [rows / inner, cols, inner]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;
  let end = first + params.cols * step;
  let upstream = dy[select(0u, row, EACH)] * params.scale;
  let k = stats[row];
  for (var i = first; i < end; i += step) {
    da[i] = upstream * (k.x * b[i] - select(k.y, k.z, SECOND) * a[i]);
  }
}
