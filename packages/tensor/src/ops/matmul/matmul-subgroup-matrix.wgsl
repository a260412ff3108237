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
const DEPTH = 2u * MATRIX_K;

// A tile is copied in blocks of DEPTH × DEPTH, of which A has one below the other and B one beside the other: as lines of DEPTH elements, block
// after block. A line goes along k, unless transposed (B: if transposed). In workgroup memory each matrix of a block lies by itself, so
// that it is loaded from the beginning of an array, and what the compiler then knows of its place needs no check of bounds. Counted in vectors
// of four, its lines are two longer than they need to be, against bank conflicts.
const LENGTH = DEPTH / 4u; // vectors in a line
const LINES = INVOCATIONS / LENGTH; // that all invocations copy at once
override A_HIGH: u32 = select(MATRIX_M, MATRIX_K, A_TRANSPOSED); // lines of a matrix,
override B_HIGH: u32 = select(MATRIX_K, MATRIX_N, B_TRANSPOSED);
override A_WIDE: u32 = select(MATRIX_K, MATRIX_M, A_TRANSPOSED) / 4u; // and its vectors of one
override B_WIDE: u32 = select(MATRIX_N, MATRIX_K, B_TRANSPOSED) / 4u;
override A_STRIDE: u32 = A_WIDE + 2u;
override B_STRIDE: u32 = B_WIDE + 2u;
const A_SIZE = max(MATRIX_M * (MATRIX_K / 4u + 2u), MATRIX_K * (MATRIX_M / 4u + 2u));
const B_SIZE = max(MATRIX_N * (MATRIX_K / 4u + 2u), MATRIX_K * (MATRIX_N / 4u + 2u));
var<workgroup> a_tile: array<array<vec4<f16>, A_SIZE>, TILE_M / MATRIX_M * 2u>;
var<workgroup> b_tile: array<array<vec4<f16>, B_SIZE>, TILE_N / MATRIX_N * 2u>;

const A_EACH = TILE_M / LINES; // vectors of a tile that an invocation copies
const B_EACH = TILE_N / LINES;
override A_AGAIN: u32 = max(1u, A_HIGH / LINES); // how many of them lie in the same matrix
override B_AGAIN: u32 = max(1u, B_HIGH / LINES);

const MATRIX = MATRIX_M * MATRIX_N / 4u;
var<workgroup> results: array<array<vec4f, MATRIX>, SUBGROUPS>; // a matrix of each subgroup

// Where a matrix lies that is number i across k and number `step` along it, if `count` lie beside each other in a block.
fn along_k(i: u32, step: u32) -> u32 { return 2u * i + step; }
fn across_k(i: u32, step: u32, count: u32) -> u32 { return (i / count * 2u + step) * count + i % count; }

// The i-th matrix down, at a step of k, of those of A that a subgroup needs: part 0 for the subgroups at the top.
fn left(part: u32, i: u32, step: u32) -> Left {
  let first = min(part, SUBGROUPS_M - 1u) * ROWS * 2u; // min() for Tint, which then knows the range
  if (A_TRANSPOSED) { return subgroupMatrixLoad<Left, col_major>(&a_tile[first + min(across_k(i, step, DEPTH / MATRIX_M), ROWS * 2u - 1u)], 0u, A_STRIDE); }
  return subgroupMatrixLoad<Left, row_major>(&a_tile[first + min(along_k(i, step), ROWS * 2u - 1u)], 0u, A_STRIDE);
}

// The j-th matrix across, at a step of k, of those of B.
fn right(part: u32, step: u32, j: u32) -> Right {
  let first = min(part, SUBGROUPS_N - 1u) * COLS * 2u;
  if (B_TRANSPOSED) { return subgroupMatrixLoad<Right, col_major>(&b_tile[first + min(along_k(j, step), COLS * 2u - 1u)], 0u, B_STRIDE); }
  return subgroupMatrixLoad<Right, row_major>(&b_tile[first + min(across_k(j, step, DEPTH / MATRIX_N), COLS * 2u - 1u)], 0u, B_STRIDE);
}

override UNIT: u32 = select(1u, 4u, ALIGNED); // what places in A and B are counted in: vectors where lines begin at one, else elements

// Four neighbours in a line, of which the first `count` are there along k: 0 for the others. Beyond M and N anything will do.
fn four_of_a(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), a[at], WHOLE || count > 0u); }
  var four = Vector();
  for (var e = 0u; e < 4u; e++) {
    if (e < count) { four[e] = a[(at + e) / 4u][(at + e) % 4u]; }
  }
  return four;
}

fn four_of_b(at: u32, count: u32) -> Vector {
  if (ALIGNED) { return select(Vector(), b[at], WHOLE || count > 0u); }
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

// What an invocation copies of a tile, whose block begins at `first` and at step k: vector `at` of a line, and of each LINES lines on.
fn some_of_a(first: u32, width: u32, k: u32, end: u32, line: u32, at: u32) -> array<Vector, A_EACH> {
  var some: array<Vector, A_EACH>;
  for (var v = 0u; v < A_EACH; v++) {
    let block = select(DEPTH * width, DEPTH / UNIT, A_TRANSPOSED);
    let mine = k + select(4u * at, line % DEPTH + v * LINES % DEPTH, A_TRANSPOSED);
    some[v] = four_of_a(first + v * LINES / DEPTH * block + v * LINES % DEPTH * width, count(mine, end, !A_TRANSPOSED));
  }
  return some;
}

fn some_of_b(first: u32, width: u32, k: u32, end: u32, line: u32, at: u32) -> array<Vector, B_EACH> {
  var some: array<Vector, B_EACH>;
  for (var v = 0u; v < B_EACH; v++) {
    let block = select(DEPTH / UNIT, DEPTH * width, B_TRANSPOSED);
    let mine = k + select(line % DEPTH + v * LINES % DEPTH, 4u * at, B_TRANSPOSED);
    some[v] = four_of_b(first + v * LINES / DEPTH * block + v * LINES % DEPTH * width, count(mine, end, B_TRANSPOSED));
  }
  return some;
}

// Adds a matrix of each subgroup to C: its i-th down and j-th across.
fn write(sums: Sums, i: u32, j: u32, group: vec3u, me: u32, subgroup: u32) {
  let width = (params.N + 3u) / 4u; // of C, in vectors
  if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&results[subgroup], 0u, sums, MATRIX_N / 4u); }
  workgroupBarrier(); // a matrix of each subgroup is there
  for (var v = me; v < SUBGROUPS * MATRIX; v += INVOCATIONS) {
    let whose = v / MATRIX;
    let r = group.y * TILE_M + (whose / SUBGROUPS_N * ROWS + i) * MATRIX_M + v % MATRIX / (MATRIX_N / 4u);
    let s = (group.x * TILE_N + (whose % SUBGROUPS_N * COLS + j) * MATRIX_N) / 4u + v % (MATRIX_N / 4u);
    if (r < params.M && s < width) {
      let at = (params.c_first + group.z * params.c_step) / 4u + r * width + s;
      var sum = results[whose][v % MATRIX];
      if (params.bias == 1u) { sum += bias[s]; }
      if (params.accumulate == 1u) { sum += c[at]; }
      store(at, sum);
    }
  }
  workgroupBarrier(); // they are read: the next may be written
}

// Writes sums of the rows of op(A) from step `begin` to `end`: row-sums-matrix.wgsl has one that does, where they are asked for.
fn add_up_rows(group: vec3u, me: u32, first: u32, begin: u32, end: u32) {}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32, @builtin(subgroup_id) subgroup: u32) {
  let p = params;
  let row = group.y * TILE_M;
  let col = group.x * TILE_N;
  let batch = group.z / p.splits;
  let begin = group.z % p.splits * p.chunk;
  let end = min(begin + p.chunk, p.K);
  add_up_rows(group, me, p.a_first + batch * p.a_step, begin, end);

  // Which vectors an invocation copies: number `at` of line `line`, and of each LINES lines on; where they lie in A and in B,
  let line = me / LENGTH;
  let at = me % LENGTH;
  let a_width = select(p.K, p.M, A_TRANSPOSED) / UNIT; // from one line to the next
  let b_width = select(p.N, p.K, B_TRANSPOSED) / UNIT;
  var a_next = (p.a_first + batch * p.a_step + select(begin, row + line / DEPTH * DEPTH, A_TRANSPOSED) + 4u * at) / UNIT
    + select(row + line, begin + line % DEPTH, A_TRANSPOSED) * a_width;
  var b_next = (p.b_first + batch * p.b_step + select(col + line / DEPTH * DEPTH, begin, B_TRANSPOSED) + 4u * at) / UNIT
    + select(begin + line % DEPTH, col + line, B_TRANSPOSED) * b_width;
  // and in the tile: in which matrix the first of them, and where.
  let a_matrix = line / A_HIGH * (LENGTH / A_WIDE) + at / A_WIDE;
  let b_matrix = line / B_HIGH * (LENGTH / B_WIDE) + at / B_WIDE;
  let a_place = line % A_HIGH * A_STRIDE + at % A_WIDE;
  let b_place = line % B_HIGH * B_STRIDE + at % B_WIDE;
  var fours_of_a = some_of_a(a_next, a_width, begin, end, line, at);
  var fours_of_b = some_of_b(b_next, b_width, begin, end, line, at);

  let my_a = subgroup / SUBGROUPS_N; // its parts of A and of B
  let my_b = subgroup % SUBGROUPS_N;
  var s00: Sums; var s01: Sums;
  var s10: Sums; var s11: Sums;
  var s20: Sums; var s21: Sums;
  var s30: Sums; var s31: Sums;

  for (var k0 = begin; k0 < end; k0 += DEPTH) {
    workgroupBarrier(); // nobody reads the tile any more
    for (var v = 0u; v < A_EACH; v++) {
      let matrix = a_matrix + v / A_AGAIN * max(1u, LINES / A_HIGH) * (LENGTH / A_WIDE);
      a_tile[matrix][a_place + v % A_AGAIN * LINES * A_STRIDE] = vec4<f16>(fours_of_a[v]);
    }
    for (var v = 0u; v < B_EACH; v++) {
      let matrix = b_matrix + v / B_AGAIN * max(1u, LINES / B_HIGH) * (LENGTH / B_WIDE);
      b_tile[matrix][b_place + v % B_AGAIN * LINES * B_STRIDE] = vec4<f16>(fours_of_b[v]);
    }
    workgroupBarrier(); // the tile is whole
    let next = k0 + DEPTH;
    if (next < end) { // these loads are under way while the tile is multiplied
      a_next += select(DEPTH / UNIT, DEPTH * a_width, A_TRANSPOSED);
      b_next += select(DEPTH * b_width, DEPTH / UNIT, B_TRANSPOSED);
      fours_of_a = some_of_a(a_next, a_width, next, end, line, at);
      fours_of_b = some_of_b(b_next, b_width, next, end, line, at);
    }
    if (subgroup < SUBGROUPS) {
      for (var step = 0u; step < 2u; step++) {
        let right0 = right(my_b, step, 0u);
        let right1 = right(my_b, step, 1u);
        let left0 = left(my_a, 0u, step);
        s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
        s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
        let left1 = left(my_a, 1u, step);
        s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
        s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
        let left2 = left(my_a, 2u, step);
        s20 = subgroupMatrixMultiplyAccumulate(left2, right0, s20);
        s21 = subgroupMatrixMultiplyAccumulate(left2, right1, s21);
        let left3 = left(my_a, 3u, step);
        s30 = subgroupMatrixMultiplyAccumulate(left3, right0, s30);
        s31 = subgroupMatrixMultiplyAccumulate(left3, right1, s31);
      }
    }
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
