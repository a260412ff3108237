// Σ over k of op(A), for each of its rows: what matmul-subgroup.cpu.wgsl adds up beside its product where the gradient of a bias is asked for, so that dY
// is not read again for it. Not a kernel by itself: it takes the place of the kernel's take_rows() and write_row_sums().
// The workgroups of the first tile across write theirs; the others have the same.
@group(0) @binding(8) var<storage, read_write> row_sums: array<f32>; // [M]

var<private> row_parts: array<vec4f, 2>; // four of a lane's rows, and four 32 below

fn take_rows(first: u32, sums: vec4f) { row_parts[first / 32u] += sums; }

fn write_row_sums(tile: vec3u, lane: u32) {
  if (tile.x > 0u) { return; }
  for (var n = 0u; n < 8u; n++) {
    let row = tile.y * 64u + n / 4u * 32u + lane * 4u + n % 4u;
    if (row < params.M) { row_sums[row] = row_parts[n / 4u][n % 4u]; }
  }
}
