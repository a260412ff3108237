// C = op(A) · op(B), the formula as written: c_ij = Σ_k a_ik b_kj (+ bias_j) (+ what C held). op transposes, or not: it is only a matter of strides.
//
// Mapping: one invocation per element of C. Traffic: each invocation reads a row of A and a column of B, so every element of A
// is read N times and every element of B M times. The other kernels here differ in nothing but that they read less.
struct Params {
  M: u32, N: u32, K: u32, batches: u32,
  a_row: u32, a_col: u32, b_row: u32, b_col: u32, // elements from one row or column to the next
  a_first: u32, b_first: u32, c_first: u32,       // where the first matrix of the batch begins,
  a_step: u32, b_step: u32, c_step: u32,          // and how far on the next one does
  bias: u32, accumulate: u32,                     // 1: do
}

@group(0) @binding(0) var<storage, read> a: array<f32>;       // [batches, M, K], or [batches, K, M] if transposed
@group(0) @binding(1) var<storage, read> b: array<f32>;       // [batches, K, N], or [batches, N, K] if transposed
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;

override F16: bool = false; // round the factors to f16, as mixed precision does
const BLOCK = 32u; // k is summed in blocks: rounding errors grow with the number of blocks, not with K

fn rounded(v: f32) -> f32 {
  if (F16) { return quantizeToF16(v); }
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let p = params;
  let i = id.x + id.y * workgroups.x * 64u;
  let batch = i / (p.M * p.N);
  if (batch >= p.batches) { return; }
  let row = (i / p.N) % p.M;
  let col = i % p.N;
  let row_of_a = p.a_first + batch * p.a_step + row * p.a_row;
  let col_of_b = p.b_first + batch * p.b_step + col * p.b_col;

  var sum = 0.0;
  for (var block = 0u; block < p.K; block += BLOCK) {
    var part = 0.0;
    for (var k = block; k < min(block + BLOCK, p.K); k++) { part += rounded(a[row_of_a + k * p.a_col]) * rounded(b[col_of_b + k * p.b_row]); }
    sum += part;
  }
  let at = p.c_first + batch * p.c_step + row * p.N + col;
  if (p.bias == 1u) { sum += bias[col]; }
  if (p.accumulate == 1u) { sum += c[at]; }
  c[at] = sum;
}
