// dposition[t, c] = Σ_b dy[b, t, c] for t below the length of dy, 0 beyond: the gradient of adding position[t] to every row b.
//
// Mapping: one invocation per element of dposition. Traffic: dy read once, dposition written once.
struct Params { size: u32, rows: u32, step: u32 } // step: elements of one b

@group(0) @binding(0) var<storage, read> dy: array<f32>;              // [rows, length, C]
@group(0) @binding(1) var<storage, read_write> dposition: array<f32>; // [positions, C]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  var sum = 0.0;
  if (i < params.step) {
    for (var b = 0u; b < params.rows; b++) { sum += dy[b * params.step + i]; }
  }
  dposition[i] = sum;
}
