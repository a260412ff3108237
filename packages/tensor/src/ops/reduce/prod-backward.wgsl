// dx_k = dy Π_(j ≠ k) x_j along lines: the product of what comes before k times that of what comes after.
//
// Not y / x_k: that would be 0/0 at a zero, whose gradient is the product of the others. At a NaN it is NaN, as y / x_k would be.
// Mapping: one invocation per line. Traffic: x is read twice, dx written twice and read once.
struct Params { lines: u32, n: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;        // [outer, n, inner]
@group(0) @binding(1) var<storage, read> dy: array<f32>;       // [outer, inner]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [outer, n, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let line = id.x + id.y * workgroups.x * 64u;
  if (line >= params.lines) { return; }
  let step = params.inner;
  let first = (line / step) * params.n * step + line % step;
  let end = first + params.n * step;
  var before = dy[line];
  for (var i = first; i < end; i += step) {
    dx[i] = before;
    before *= x[i];
  }
  var behind = 1.0;
  for (var i = end; i > first; i -= step) {
    let own = x[i - step];
    let nan = (bitcast<u32>(own) & 0x7fffffffu) > 0x7f800000u;
    dx[i - step] = select(dx[i - step] * behind, own, nan);
    behind *= own;
  }
}
