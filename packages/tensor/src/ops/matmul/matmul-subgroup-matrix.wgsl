// C = op(A) · op(B) (+ bias, or + what C held) by a GPU's matrix units: factors rounded to f16, sums in f32. op transposes, or not.
//
// A workgroup makes a tile of C, and each of its subgroups ROWS × COLS matrices of that, whose sums stay in registers. Per DEPTH steps of k, all
// copy what the tile needs of A and B to workgroup memory, line by line as they lie: the load of a matrix transposes where op does. The sums
// leave through workgroup memory, too, for elements of a matrix have no index. Where subgroups have fewer lanes than the adapter has at most,
// there are more of them than needed, and some only copy.
// Traffic: A is read N / TILE_N times, B M / TILE_M times; C is written once, by store(): epilogue-gelu-store-vectors.wgsl has one that adds GELU.
// Where C has too few tiles to keep a GPU busy, k is split among workgroups: c then holds their parts of the sums, for matmul-sum.wgsl.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // `subgroup` is one number for a subgroup, which WGSL can't know

const MATRIX_M = 16u; // what one instruction multiplies: M × K by K × N
const MATRIX_N = 16u;
const MATRIX_K = 16u;
const ROWS = 4u;        // matrices of sums of a subgroup, down
const COLS = 2u;        // and across
const SUBGROUPS_M = 2u; // subgroups of a workgroup, down
const SUBGROUPS_N = 4u; // and across
const INVOCATIONS = 256u; // for each subgroup as many as it has lanes here at most
alias Vector = vec4f;   // four elements of A or B in memory: of f32, or of f16
override A_TRANSPOSED: bool = false;
override B_TRANSPOSED: bool = false;
override ALIGNED: bool = true; // lines of A and B, and the first of each matrix, begin at whole vectors

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

// Four neighbours in a line, of which the first `count` are there: 0 for the others.
fn four_of_a(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), a[at / 4u], count > 0u); }
  var four = Vector();
  for (var e = 0u; e < 4u; e++) {
    if (e < count) { four[e] = a[(at + e) / 4u][(at + e) % 4u]; }
  }
  return four;
}

fn four_of_b(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), b[at / 4u], count > 0u); }
  var four = Vector();
  for (var e = 0u; e < 4u; e++) {
    if (e < count) { four[e] = b[(at + e) / 4u][(at + e) % 4u]; }
  }
  return four;
}

// How many of four elements of a line from `at` on are there, of `lines` lines of `length` elements.
fn count(line: u32, lines: u32, at: u32, length: u32) -> u32 {
  return select(0u, min(4u, length - at), line < lines && at < length);
}

// Writes four neighbours in a row of C.
fn store(at: u32, sum: vec4f) {
  c[at] = sum;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32, @builtin(subgroup_id) subgroup: u32) {
  let p = params;
  let row = group.y * TILE_M;
  let col = group.x * TILE_N;
  let batch = group.z / p.splits;
  let begin = group.z % p.splits * p.chunk;
  let end = min(begin + p.chunk, p.K);
  let a_batch = p.a_first + batch * p.a_step;
  let b_batch = p.b_first + batch * p.b_step;
  let a_line = select(p.K, p.M, A_TRANSPOSED); // elements from one line to the next,
  let a_lines = select(p.M, end, A_TRANSPOSED); // where lines end,
  let a_length = select(end, p.M, A_TRANSPOSED); // and where elements of a line do
  let b_line = select(p.N, p.K, B_TRANSPOSED);
  let b_lines = select(end, p.N, B_TRANSPOSED);
  let b_length = select(p.N, end, B_TRANSPOSED);
  let my_row = subgroup / SUBGROUPS_N * ROWS * MATRIX_M; // in the tile
  let my_col = subgroup % SUBGROUPS_N * COLS * MATRIX_N;
  var sums: array<array<Sums, COLS>, ROWS>;

  for (var k0 = begin; k0 < end; k0 += DEPTH) {
    // All loads before the first store, so that they are under way together.
    const A_EACH = TILE_M * DEPTH / 4u / INVOCATIONS;
    const B_EACH = TILE_N * DEPTH / 4u / INVOCATIONS;
    var fours_of_a: array<Vector, A_EACH>;
    var fours_of_b: array<Vector, B_EACH>;
    for (var v = 0u; v < A_EACH; v++) {
      let four = v * INVOCATIONS + me;
      let line = select(row, k0, A_TRANSPOSED) + four / A_LENGTH;
      let at = select(k0, row, A_TRANSPOSED) + four % A_LENGTH * 4u;
      fours_of_a[v] = four_of_a(a_batch + line * a_line + at, count(line, a_lines, at, a_length));
    }
    for (var v = 0u; v < B_EACH; v++) {
      let four = v * INVOCATIONS + me;
      let line = select(k0, col, B_TRANSPOSED) + four / B_LENGTH;
      let at = select(col, k0, B_TRANSPOSED) + four % B_LENGTH * 4u;
      fours_of_b[v] = four_of_b(b_batch + line * b_line + at, count(line, b_lines, at, b_length));
    }
    for (var v = 0u; v < A_EACH; v++) {
      let four = v * INVOCATIONS + me;
      tile[four / A_LENGTH * A_STRIDE + four % A_LENGTH] = vec4<f16>(fours_of_a[v]);
    }
    for (var v = 0u; v < B_EACH; v++) {
      let four = v * INVOCATIONS + me;
      tile[B_BEGIN + four / B_LENGTH * B_STRIDE + four % B_LENGTH] = vec4<f16>(fours_of_b[v]);
    }
    workgroupBarrier(); // the tile is whole
    if (subgroup < SUBGROUPS) {
      for (var k = 0u; k < DEPTH; k += MATRIX_K) {
        var rights: array<Right, COLS>;
        for (var j = 0u; j < COLS; j++) { rights[j] = right(k, my_col + j * MATRIX_N); }
        for (var i = 0u; i < ROWS; i++) {
          let one = left(my_row + i * MATRIX_M, k);
          for (var j = 0u; j < COLS; j++) { sums[i][j] = subgroupMatrixMultiplyAccumulate(one, rights[j], sums[i][j]); }
        }
      }
    }
    workgroupBarrier(); // nobody reads it any more: the next may be written
  }

  let width = (p.N + 3u) / 4u; // of C, in vectors
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < COLS; j++) {
      if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&results, subgroup * MATRIX, sums[i][j], MATRIX_N / 4u); }
      workgroupBarrier(); // a matrix of each subgroup is there
      for (var v = me; v < SUBGROUPS * MATRIX; v += INVOCATIONS) {
        let whose = v / MATRIX;
        let r = row + (whose / SUBGROUPS_N * ROWS + i) * MATRIX_M + v % MATRIX / (MATRIX_N / 4u);
        let s = (col + (whose % SUBGROUPS_N * COLS + j) * MATRIX_N) / 4u + v % (MATRIX_N / 4u);
        if (r < p.M && s < width) {
          let at = (p.c_first + group.z * p.c_step) / 4u + r * width + s;
          var sum = results[v];
          if (p.bias == 1u) { sum += bias[s]; }
          if (p.accumulate == 1u) { sum += c[at]; }
          store(at, sum);
        }
      }
      workgroupBarrier(); // they are read: the next may be written
    }
  }
}
