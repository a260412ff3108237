// C = op(A) · op(B) (+ bias, or + what C held) where C is small and k long, as a classifier's logits: a workgroup makes one element. op transposes, or not.
//
// Mapping: invocation n of a workgroup has steps n, n + SIZE, … of k; their sums are added up in pairs, through workgroup memory. matmul-naive.wgsl
// would go through all of k in a row, with a fraction of a GPU at work. Traffic: as there, but neighbours read neighbouring elements of k.
override F16: bool = false; // round the factors to f16, as mixed precision does
const SIZE = 64u; // a power of two

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

var<workgroup> sums: array<f32, SIZE>;

fn rounded(v: f32) -> f32 {
  if (F16) { return quantizeToF16(v); }
  return v;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) me: u32) {
  let p = params;
  let i = group.x + group.y * workgroups.x; // large launches are folded into two dimensions
  let batch = i / (p.M * p.N);
  if (batch >= p.batches) { return; }
  let row = (i / p.N) % p.M;
  let col = i % p.N;
  let row_of_a = p.a_first + batch * p.a_step + row * p.a_row;
  let col_of_b = p.b_first + batch * p.b_step + col * p.b_col;

  var sum = 0.0;
  for (var k = me; k < p.K; k += SIZE) { sum += rounded(a[row_of_a + k * p.a_col]) * rounded(b[col_of_b + k * p.b_row]); }
  sums[me] = sum;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of before are there
    if (me < half) { sums[me] += sums[me + half]; }
  }
  if (me > 0u) { return; }
  sum = sums[0]; // of this invocation's own making
  let at = p.c_first + batch * p.c_step + row * p.N + col;
  if (p.bias == 1u) { sum += bias[col]; }
  if (p.accumulate == 1u) { sum += c[at]; }
  c[at] = sum;
}
