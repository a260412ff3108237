// The store() of epilogue-gelu.wgsl, for kernels that write number by number.
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [batches, M, N]

// Writes the first `count` of four neighbours in a row of C, and of y.
fn store(at: u32, sum: vec4f, count: u32) {
  let activated = gelu(sum);
  if (count == 4u) {
    c[at] = sum.x;
    c[at + 1u] = sum.y;
    c[at + 2u] = sum.z;
    c[at + 3u] = sum.w;
    y[at] = activated.x;
    y[at + 1u] = activated.y;
    y[at + 2u] = activated.z;
    y[at + 3u] = activated.w;
  } else {
    for (var j = 0u; j < 3u; j++) {
      if (j < count) {
        c[at + j] = sum[j];
        y[at + j] = activated[j];
      }
    }
  }
}
