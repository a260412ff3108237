// Σ over k of op(A), for each of its rows: what matmul-tiled.wgsl adds up beside its product where the gradient of a bias is asked for, so that dY
// is not read again for it. Not a kernel by itself: it takes the place of the kernel's take_rows() and write_row_sums().
// Only the workgroups of the first tile across do, for the others fetch the same rows. Sums are of f32, before factors are rounded.
@group(0) @binding(8) var<storage, read_write> row_sums: array<f32>; // [batches, splits, M]

var<private> rows: vec4f; // the sums of four rows, over the steps of k that this invocation fetches

fn take_rows(of_a: mat4x4f) { rows += (of_a[0] + of_a[1]) + (of_a[2] + of_a[3]); }

fn write_row_sums(tile: vec3u, s: Source, me: u32) {
  if (tile.x > 0u) { return; }
  workgroupBarrier(); // nobody reads the tiles any more
  if (s.of_a) { tiles[s.to] = rows; }
  workgroupBarrier(); // all sums are there
  if (me < LINE) {
    var sum = vec4f();
    for (var block = 0u; block < DEPTH / 4u; block++) { sum += tiles[block * BLOCK + me]; }
    for (var e = 0u; e < 4u; e++) {
      let row = (tile.y * LINE + me) * 4u + e;
      if (row < params.M) { row_sums[tile.z * params.M + row] = sum[e]; }
    }
  }
}
