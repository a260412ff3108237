// Stage two of a sum over rows: total_c = Σ_blocks partial_c. One invocation per column.
struct Params { blocks: u32, cols: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;     // [blocks, cols]
@group(0) @binding(1) var<storage, read_write> total: array<f32>; // [cols]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let c = id.x + id.y * workgroups.x * 64u;
  if (c >= params.cols) { return; }
  var sum = 0.0;
  for (var i = c; i < params.blocks * params.cols; i += params.cols) { sum += partial[i]; }
  total[c] = sum;
}
