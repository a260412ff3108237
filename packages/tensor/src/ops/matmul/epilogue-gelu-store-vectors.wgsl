// The store() of epilogue-gelu.wgsl, for kernels that write whole vectors.
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [batches, M, N]

// Writes four neighbours in a row of C, and of y.
fn store(at: u32, sum: vec4f) {
  c[at] = sum;
  y[at] = gelu(sum);
}
