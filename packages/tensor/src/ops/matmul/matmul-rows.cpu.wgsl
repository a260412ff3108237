// C = op(A) · op(B) (+ bias, or + what C held) for few rows, on CPU adapters whose subgroups have eight lanes: one subgroup makes ROWS × 32 of C.
//
// With few rows the time is that of reading B, so B is read once, where it is: no packing. A lane owns four columns of C and loads their next four
// steps of k; it loads those of every eighth row of A as well, and passes them round by subgroupShuffle, which is nearly free there.
// Traffic per four steps: 4 + ROWS / 8 vec4 loads a lane for 8 · ROWS · 32 operations. The order of the sums is that of matmul-subgroup.cpu.wgsl, to
// the bit: what a text gives does not depend on how many there are. Rows and columns that C doesn't have are whatever is there, and aren't stored.
enable subgroups;

const ROWS = 16u; // 16 or 32
alias B = vec4f;  // what is read of B at a time: weights-f16.wgsl and weights-i8.wgsl read words
override A_WHOLE: bool = true; // k runs along what lies together in A, which begins at, and is as long as, a multiple of four elements
override B_WHOLE: bool = true;
override B_ACROSS: bool = false; // columns are what lies together in B, likewise, and K is a multiple of four
override F16: bool = false;    // round the factors to f16, as mixed precision does

struct Params {
  M: u32, N: u32, K: u32,
  a_row: u32, a_col: u32, b_row: u32, b_col: u32, // elements from one row or column to the next
  a_first: u32, b_first: u32, c_first: u32,       // where the first matrix of the batch begins,
  a_step: u32, b_step: u32, c_step: u32,          // and how far on the next one does
  bias: u32, accumulate: u32,                     // 1: do
  one: u32,                                       // is 1, which a compiler can't know: a loop stays one
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [batches, M, K], or [batches, K, M] if transposed
@group(0) @binding(1) var<storage, read> b: array<B>;         // [batches, K, N], or [batches, N, K] if transposed
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> a1: array<f32>;      // A and B again: the same buffers, number by number
@group(0) @binding(7) var<storage, read> b1: array<f32>;

fn rounded(v: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(v); }
  return v;
}

// Four that lie together in B.
fn four(at: u32) -> vec4f { return b[at / 4u]; }

// What columns of C are multiplied by.
fn scales(col: u32) -> vec4f { return vec4f(1.0); }

// Steps k to k + 3 of a row of A that begins at `first`; 0 from K on.
fn four_of_a(first: u32, k: u32) -> vec4f {
  if (A_WHOLE) { return rounded(a[(first + k) / 4u]); }
  var steps: vec4f;
  for (var i = 0u; i < 4u; i++) {
    if (k + i < params.K) { steps[i] = a1[first + (k + i) * params.a_col]; }
  }
  return rounded(steps);
}

// The same of a column of B.
fn four_of_b(first: u32, k: u32) -> vec4f {
  if (B_WHOLE) { return rounded(four(first + k)); }
  var steps: vec4f;
  for (var i = 0u; i < 4u; i++) {
    if (k + i < params.K) { steps[i] = b1[first + (k + i) * params.b_row]; }
  }
  return rounded(steps);
}

// Steps k to k + 3 of four columns of B from `col` on, of which `cols` says where they begin.
fn columns(first: u32, col: u32, cols: vec4u, k: u32) -> mat4x4f {
  if (B_ACROSS) {
    let line = params.b_row;
    let at = first + k * line + col;
    return mat4x4f(rounded(four(at)), rounded(four(at + line)), rounded(four(at + 2u * line)), rounded(four(at + 3u * line)));
  }
  return transpose(mat4x4f(four_of_b(cols[0], k), four_of_b(cols[1], k), four_of_b(cols[2], k), four_of_b(cols[3], k)));
}

// Writes the first `count` of four neighbours in a row of C.
fn store(at: u32, sum: vec4f, count: u32) {
  for (var j = 0u; j < 4u; j++) {
    if (j < count) { c[at + j] = sum[j]; }
  }
}

alias Sums = array<vec4f, ROWS>;

// Adds four steps of k, w[0] to w[3], to eight rows of C from `first` on; each lane has the four of one of these rows.
fn add(sums: ptr<function, Sums>, first: u32, own: vec4f, w: mat4x4f) {
  for (var l = 0u; l < 8u; l++) {
    let x = subgroupShuffle(own, l);
    let sum = sums[first + l] + (x.x * w[0] + x.y * w[1]);
    sums[first + l] = sum + (x.z * w[2] + x.w * w[3]);
  }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  let row = tile.y * ROWS;
  let col = tile.x * 32u + id.x * 4u;
  let a_first = p.a_first + tile.z * p.a_step;
  let b_first = p.b_first + tile.z * p.b_step;
  var rows: array<u32, ROWS / 8u>;
  for (var i = 0u; i < ROWS / 8u; i++) { rows[i] = a_first + (row + i * 8u + id.x) * p.a_row; }
  let cols = b_first + (col + vec4u(0u, 1u, 2u, 3u)) * p.b_col;

  var sums: Sums;
  for (var k = 0u; k < p.K; k += 4u) {
    let w = columns(b_first, col, cols, k);
    add(&sums, 0u, four_of_a(rows[0], k), w);
    add(&sums, 8u, four_of_a(rows[1], k), w);
    if (ROWS == 32u) { // a loop over them is more than Mesa unrolls, and then the sums fall out of registers
      add(&sums, 16u, four_of_a(rows[ROWS / 8u - 2u], k), w);
      add(&sums, 24u, four_of_a(rows[ROWS / 8u - 1u], k), w);
    }
  }

  if (col >= p.N) { return; }
  let count = min(4u, p.N - col);
  let factors = scales(col);
  var shift = vec4f();
  if (p.bias == 1u) {
    for (var j = 0u; j < count; j++) { shift[j] = bias[col + j]; }
  }
  var at = p.c_first + tile.z * p.c_step + row * p.N + col;
  for (var i = 0u; i < min(ROWS, p.M - row); i += p.one) {
    var sum = sums[i] * factors + shift;
    for (var j = 0u; j < 4u; j++) {
      if (j < count && p.accumulate == 1u) { sum[j] += c[at + j]; }
    }
    store(at, sum, count);
    at += p.N;
  }
}
