// dx = dy at the element of its line that `index` names, 0 elsewhere: the gradient of having picked it.
//
// Mapping: one invocation per element of dx. Traffic: index and dy are read (n times, from cache), dx written once.
struct Params { elements: u32, n: u32, inner: u32 } // n: elements of a line

@group(0) @binding(0) var<storage, read> index: array<u32>;     // [outer, inner]
@group(0) @binding(1) var<storage, read> dy: array<f32>;        // [outer, inner]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;  // [outer, n, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.elements) { return; }
  let row = i / params.inner;
  let outer = row / params.n;
  let line = outer * params.inner + i % params.inner;
  dx[i] = select(0.0, dy[line], index[line] == row - outer * params.n);
}
