// C = op(A) · op(B) (+ bias, or + what C held) by a GPU's matrix units: factors rounded to f16, sums in f32. op transposes, or not.
//
// A workgroup makes a tile of C, and each of its subgroups 4 × 2 matrices of that, whose sums stay in registers: they are eight variables,
// for with an array of them an H200 takes 1.4 times as long. Per DEPTH steps of k, all copy what the tile needs of A and B to workgroup memory, line
// by line as they lie: the load of a matrix transposes where op does. While a tile is multiplied, the loads of the next are under way. The
// sums leave through workgroup memory, too, for elements of a matrix have no index. Where subgroups have fewer lanes than the adapter has at
// most, there are more of them than needed, and some only copy.
// Traffic: A is read N / TILE_N times, B M / TILE_M times; C is written once, by store(): epilogue-gelu-store-vectors.wgsl has one that adds GELU.
// Where C has too few tiles to keep a GPU busy, k is split among workgroups: c then holds their parts of the sums, for matmul-sum.wgsl.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // `subgroup` is one number for a subgroup, which WGSL can't know

const MATRIX_M = 16u; // what one instruction multiplies: M × K by K × N
const MATRIX_N = 16u;
const MATRIX_K = 16u;
const SUBGROUPS_M = 2u; // subgroups of a workgroup, down
const SUBGROUPS_N = 4u; // and across
const INVOCATIONS = 256u; // for each subgroup as many as it has lanes here at most
alias Vector = vec4f;   // four elements of A or B in memory: of f32, or of f16
override A_TRANSPOSED: bool = false;
override B_TRANSPOSED: bool = false;
override ALIGNED: bool = true; // lines of A and B, and the first of each matrix, begin at whole vectors
override WHOLE: bool = true;   // K is a multiple of DEPTH: no step of k is missing in the last tile

struct Params {
  M: u32, N: u32, K: u32, splits: u32, chunk: u32, // steps of k in a split: a multiple of DEPTH
  a_first: u32, b_first: u32, c_first: u32, // where the first matrix of the batch begins, in elements,
  a_step: u32, b_step: u32, c_step: u32,    // and how far on the next one does
  bias: u32, accumulate: u32,               // 1: do
}

@group(0) @binding(0) var<storage, read> a: array<Vector>;      // [batches, M, K], or [batches, K, M] if transposed
@group(0) @binding(1) var<storage, read> b: array<Vector>;      // [batches, K, N], or [batches, N, K] if transposed
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>; // [batches, splits, M, N], N rounded up to a multiple of four
@group(0) @binding(4) var<uniform> params: Params;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Sums = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

const ROWS = 4u; // matrices of a subgroup, down
const COLS = 2u; // and across
const SUBGROUPS = SUBGROUPS_M * SUBGROUPS_N;
const TILE_M = SUBGROUPS_M * ROWS * MATRIX_M;
const TILE_N = SUBGROUPS_N * COLS * MATRIX_N;
const DEPTH = 32u;

// What lies in workgroup memory: A's lines, then B's, counted in vectors of four, each with two more than it needs, against bank conflicts.
override A_LENGTH: u32 = select(DEPTH, TILE_M, A_TRANSPOSED) / 4u; // a line goes along k, unless transposed
override B_LENGTH: u32 = select(TILE_N, DEPTH, B_TRANSPOSED) / 4u;
override A_STRIDE: u32 = A_LENGTH + 2u;
override B_STRIDE: u32 = B_LENGTH + 2u;
override B_BEGIN: u32 = TILE_M * DEPTH / 4u / A_LENGTH * A_STRIDE;
var<workgroup> tile: array<vec4<f16>, B_BEGIN + TILE_N * DEPTH / 4u / B_LENGTH * B_STRIDE>;

const A_EACH = TILE_M * DEPTH / 4u / INVOCATIONS; // vectors of a tile that an invocation copies,
const B_EACH = TILE_N * DEPTH / 4u / INVOCATIONS;
override A_APART: u32 = INVOCATIONS / A_LENGTH;   // and lines from one to the next
override B_APART: u32 = INVOCATIONS / B_LENGTH;

const MATRIX = MATRIX_M * MATRIX_N / 4u;
var<workgroup> results: array<vec4f, SUBGROUPS * MATRIX>; // a matrix of each subgroup

// The matrix at row m and step k of the tile of A.
fn left(m: u32, k: u32) -> Left {
  if (A_TRANSPOSED) { return subgroupMatrixLoad<Left, col_major>(&tile, k * A_STRIDE + m / 4u, A_STRIDE); }
  return subgroupMatrixLoad<Left, row_major>(&tile, m * A_STRIDE + k / 4u, A_STRIDE);
}

// The matrix at step k and column n of the tile of B.
fn right(k: u32, n: u32) -> Right {
  if (B_TRANSPOSED) { return subgroupMatrixLoad<Right, col_major>(&tile, B_BEGIN + n * B_STRIDE + k / 4u, B_STRIDE); }
  return subgroupMatrixLoad<Right, row_major>(&tile, B_BEGIN + k * B_STRIDE + n / 4u, B_STRIDE);
}

// Four neighbours in a line, of which the first `count` are there along k: 0 for the others. Beyond M and N anything will do.
fn four_of_a(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), a[at / 4u], WHOLE || count > 0u); }
  var four = Vector();
  for (var e = 0u; e < 4u; e++) {
    if (e < count) { four[e] = a[(at + e) / 4u][(at + e) % 4u]; }
  }
  return four;
}

fn four_of_b(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), b[at / 4u], WHOLE || count > 0u); }
  var four = Vector();
  for (var e = 0u; e < 4u; e++) {
    if (e < count) { four[e] = b[(at + e) / 4u][(at + e) % 4u]; }
  }
  return four;
}

// Writes four neighbours in a row of C.
fn store(at: u32, sum: vec4f) {
  c[at] = sum;
}

// How many of four neighbours from step k on come before `end`: where k goes from line to line, all or none.
fn count(k: u32, end: u32, along_lines: bool) -> u32 {
  if (k >= end) { return 0u; }
  return select(4u, min(4u, end - k), along_lines);
}

// Adds a matrix of each subgroup to C: its i-th down and j-th across.
fn write(sums: Sums, i: u32, j: u32, group: vec3u, me: u32, subgroup: u32) {
  let width = (params.N + 3u) / 4u; // of C, in vectors
  if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&results, subgroup * MATRIX, sums, MATRIX_N / 4u); }
  workgroupBarrier(); // a matrix of each subgroup is there
  for (var v = me; v < SUBGROUPS * MATRIX; v += INVOCATIONS) {
    let whose = v / MATRIX;
    let r = group.y * TILE_M + (whose / SUBGROUPS_N * ROWS + i) * MATRIX_M + v % MATRIX / (MATRIX_N / 4u);
    let s = (group.x * TILE_N + (whose % SUBGROUPS_N * COLS + j) * MATRIX_N) / 4u + v % (MATRIX_N / 4u);
    if (r < params.M && s < width) {
      let at = (params.c_first + group.z * params.c_step) / 4u + r * width + s;
      var sum = results[v];
      if (params.bias == 1u) { sum += bias[s]; }
      if (params.accumulate == 1u) { sum += c[at]; }
      store(at, sum);
    }
  }
  workgroupBarrier(); // they are read: the next may be written
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32, @builtin(subgroup_id) subgroup: u32) {
  let p = params;
  let row = group.y * TILE_M;
  let col = group.x * TILE_N;
  let batch = group.z / p.splits;
  let begin = group.z % p.splits * p.chunk;
  let end = min(begin + p.chunk, p.K);

  // Which vectors of a tile an invocation copies: number `a_at` of line `a_line`, and of each A_APART lines on.
  let a_line = me / A_LENGTH;
  let a_at = me % A_LENGTH;
  let b_line = me / B_LENGTH;
  let b_at = me % B_LENGTH;
  let a_width = select(p.K, p.M, A_TRANSPOSED); // elements from one line to the next
  let b_width = select(p.N, p.K, B_TRANSPOSED);
  var a_next = p.a_first + batch * p.a_step + select(row + a_line, begin + a_line, A_TRANSPOSED) * a_width + select(begin, row, A_TRANSPOSED) + 4u * a_at;
  var b_next = p.b_first + batch * p.b_step + select(begin + b_line, col + b_line, B_TRANSPOSED) * b_width + select(col, begin, B_TRANSPOSED) + 4u * b_at;
  var fours_of_a: array<Vector, A_EACH>;
  var fours_of_b: array<Vector, B_EACH>;

  let my_row = subgroup / SUBGROUPS_N * ROWS * MATRIX_M; // in the tile
  let my_col = subgroup % SUBGROUPS_N * COLS * MATRIX_N;
  var s00: Sums; var s01: Sums;
  var s10: Sums; var s11: Sums;
  var s20: Sums; var s21: Sums;
  var s30: Sums; var s31: Sums;

  for (var k0 = begin; ; k0 += DEPTH) {
    if (k0 < end) {
      for (var v = 0u; v < A_EACH; v++) {
        let k = k0 + select(4u * a_at, a_line + v * A_APART, A_TRANSPOSED);
        fours_of_a[v] = four_of_a(a_next + v * A_APART * a_width, count(k, end, !A_TRANSPOSED));
      }
      for (var v = 0u; v < B_EACH; v++) {
        let k = k0 + select(b_line + v * B_APART, 4u * b_at, B_TRANSPOSED);
        fours_of_b[v] = four_of_b(b_next + v * B_APART * b_width, count(k, end, B_TRANSPOSED));
      }
      a_next += select(DEPTH, DEPTH * a_width, A_TRANSPOSED);
      b_next += select(DEPTH * b_width, DEPTH, B_TRANSPOSED);
    }
    if (k0 > begin && subgroup < SUBGROUPS) { // the tile before, while these loads are under way
      for (var k = 0u; k < DEPTH; k += MATRIX_K) {
        let right0 = right(k, my_col);
        let right1 = right(k, my_col + MATRIX_N);
        let left0 = left(my_row, k);
        s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
        s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
        let left1 = left(my_row + MATRIX_M, k);
        s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
        s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
        let left2 = left(my_row + 2u * MATRIX_M, k);
        s20 = subgroupMatrixMultiplyAccumulate(left2, right0, s20);
        s21 = subgroupMatrixMultiplyAccumulate(left2, right1, s21);
        let left3 = left(my_row + 3u * MATRIX_M, k);
        s30 = subgroupMatrixMultiplyAccumulate(left3, right0, s30);
        s31 = subgroupMatrixMultiplyAccumulate(left3, right1, s31);
      }
    }
    if (k0 >= end) { break; }
    workgroupBarrier(); // nobody reads the tile any more
    for (var v = 0u; v < A_EACH; v++) { tile[(a_line + v * A_APART) * A_STRIDE + a_at] = vec4<f16>(fours_of_a[v]); }
    for (var v = 0u; v < B_EACH; v++) { tile[B_BEGIN + (b_line + v * B_APART) * B_STRIDE + b_at] = vec4<f16>(fours_of_b[v]); }
    workgroupBarrier(); // the next is whole
  }

  write(s00, 0u, 0u, group, me, subgroup);
  write(s01, 0u, 1u, group, me, subgroup);
  write(s10, 1u, 0u, group, me, subgroup);
  write(s11, 1u, 1u, group, me, subgroup);
  write(s20, 2u, 0u, group, me, subgroup);
  write(s21, 2u, 1u, group, me, subgroup);
  write(s30, 3u, 0u, group, me, subgroup);
  write(s31, 3u, 1u, group, me, subgroup);
}
