// y[…, r, c] = x[…, r, c] on one side of a diagonal, 0 on the other: c − r ≤ diagonal stays, or with UPPER c − r ≥ diagonal.
//
// Mapping: one invocation per element, a 32-bit word of any type. Traffic: x read, y written once.
override UPPER: bool = false;

struct Params { size: u32, rows: u32, cols: u32, diagonal: i32 }

@group(0) @binding(0) var<storage, read> x: array<u32>;       // [size / (rows cols), rows, cols]
@group(0) @binding(1) var<storage, read_write> y: array<u32>; // the same
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.size) { return; }
  let row = i / params.cols;
  let distance = i32(i - row * params.cols) - i32(row % params.rows);
  let stays = select(distance <= params.diagonal, distance >= params.diagonal, UPPER);
  y[i] = select(0u, x[i], stays);
}
