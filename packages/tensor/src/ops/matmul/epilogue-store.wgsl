// What a matmul kernel does with its sums: stores them in C. One epilogue is appended to each kernel that calls store().

/// Writes the first `count` of four neighbours in a row of C.
fn store(at: u32, sum: vec4f, count: u32) {
  if (count == 4u) {
    c[at] = sum.x;
    c[at + 1u] = sum.y;
    c[at + 2u] = sum.z;
    c[at + 3u] = sum.w;
  } else {
    for (var j = 0u; j < 3u; j++) {
      if (j < count) { c[at + j] = sum[j]; }
    }
  }
}
