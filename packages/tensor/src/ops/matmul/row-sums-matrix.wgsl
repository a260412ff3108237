// Σ over k of op(A), for each of its rows: what matmul-subgroup-matrix.wgsl adds up beside its product where the gradient of a bias is asked for: one
// dispatch less, and of memory only what the product reads anyway. Not a kernel by itself: it takes the place of the kernel's add_up_rows().
// A is transposed, so four neighbours are of four rows. Workgroups beside each other need the same rows of A, so each adds up a few bands of them, before
// it begins to multiply: in the loop that does, registers are scarce. Sums are of f32, as A is before it is rounded.
const BANDS_EACH = 1u; // of a workgroup: DEPTH rows each

@group(0) @binding(6) var<storage, read_write> row_sums: array<f32>; // [batches, splits, M]

// The four rows from `at` on, at step k.
fn rows_at(at: u32, k: u32, end: u32) -> vec4f {
  return select(vec4f(), vec4f(four_of_a(at / UNIT + k * (params.M / UNIT), 4u)), k < end);
}

fn add_up_rows(group: vec3u, me: u32, first: u32, begin: u32, end: u32) {
  let mine = me % LENGTH;
  for (var i = 0u; i < BANDS_EACH; i++) {
    let band = (group.x * BANDS_EACH + i) * DEPTH;
    if (band >= TILE_M) { return; } // all were others'
    let row = group.y * TILE_M + band + 4u * mine;
    var sum = vec4f();
    for (var k = begin + me / LENGTH; k < end; k += 4u * LINES) { // four loads at a time are under way
      sum += (rows_at(first + row, k, end) + rows_at(first + row, k + LINES, end)) +
        (rows_at(first + row, k + 2u * LINES, end) + rows_at(first + row, k + 3u * LINES, end));
    }
    results[me / MATRIX][me % MATRIX] = sum;
    workgroupBarrier(); // the sums of all lines are there
    if (me < LENGTH) {
      sum = vec4f();
      for (var line = 0u; line < LINES; line++) {
        let place = line * LENGTH + me;
        sum += results[place / MATRIX][place % MATRIX];
      }
      for (var e = 0u; e < 4u; e++) {
        if (row + e < params.M) { row_sums[group.z * params.M + row + e] = sum[e]; }
      }
    }
    workgroupBarrier(); // they are read: the next may be written
  }
}
