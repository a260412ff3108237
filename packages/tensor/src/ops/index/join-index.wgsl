// y = y n + index: the next dimension of an index into several. Negative numbers count from the end; one out of range, there or
// before, makes y −1, which whoever reads by it takes for out of range, too.
//
// Mapping: one invocation per element. Traffic: y is read and written once, index read once.
struct Params { count: u32, n: i32 }

@group(0) @binding(0) var<storage, read> index: array<i32>;      // [count]
@group(0) @binding(1) var<storage, read_write> y: array<i32>;    // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let k = select(index[i], index[i] + params.n, index[i] < 0);
  y[i] = select(y[i] * params.n + k, -1, y[i] < 0 || k < 0 || k >= params.n);
}
