// sums += left · right by matrix units, over and over in registers: what products of f16 factors can reach at most.
//
// Mapping: each subgroup turns eight matrices of sums round, independent of each other, so that none waits for its own last result.
// Traffic: the sums are read and written once, all subgroups theirs over each other's, so that the work can't be left out.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

const MATRIX_M = 16u; // what one instruction multiplies: M × K by K × N
const MATRIX_N = 16u;
const MATRIX_K = 16u;
const MATRIX = MATRIX_M * MATRIX_N;
const INVOCATIONS = 128u; // four subgroups

struct Params { rounds: u32 } // eight products a round

@group(0) @binding(0) var<storage, read_write> y: array<f32>; // [8, MATRIX_M, MATRIX_N]
@group(0) @binding(1) var<uniform> params: Params;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Sums = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

var<workgroup> factors: array<f16, MATRIX_K * max(MATRIX_M, MATRIX_N)>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(local_invocation_index) me: u32) {
  for (var i = me; i < MATRIX_K * max(MATRIX_M, MATRIX_N); i += INVOCATIONS) { factors[i] = f16(i % 7u) * 0.01h; }
  workgroupBarrier(); // the factors are there
  let left = subgroupMatrixLoad<Left, row_major>(&factors, 0u, MATRIX_K);
  let right = subgroupMatrixLoad<Right, row_major>(&factors, 0u, MATRIX_N);
  var s0 = subgroupMatrixLoad<Sums, row_major>(&y, 0u * MATRIX, MATRIX_N);
  var s1 = subgroupMatrixLoad<Sums, row_major>(&y, 1u * MATRIX, MATRIX_N);
  var s2 = subgroupMatrixLoad<Sums, row_major>(&y, 2u * MATRIX, MATRIX_N);
  var s3 = subgroupMatrixLoad<Sums, row_major>(&y, 3u * MATRIX, MATRIX_N);
  var s4 = subgroupMatrixLoad<Sums, row_major>(&y, 4u * MATRIX, MATRIX_N);
  var s5 = subgroupMatrixLoad<Sums, row_major>(&y, 5u * MATRIX, MATRIX_N);
  var s6 = subgroupMatrixLoad<Sums, row_major>(&y, 6u * MATRIX, MATRIX_N);
  var s7 = subgroupMatrixLoad<Sums, row_major>(&y, 7u * MATRIX, MATRIX_N);
  for (var round = 0u; round < params.rounds; round++) {
    s0 = subgroupMatrixMultiplyAccumulate(left, right, s0);
    s1 = subgroupMatrixMultiplyAccumulate(left, right, s1);
    s2 = subgroupMatrixMultiplyAccumulate(left, right, s2);
    s3 = subgroupMatrixMultiplyAccumulate(left, right, s3);
    s4 = subgroupMatrixMultiplyAccumulate(left, right, s4);
    s5 = subgroupMatrixMultiplyAccumulate(left, right, s5);
    s6 = subgroupMatrixMultiplyAccumulate(left, right, s6);
    s7 = subgroupMatrixMultiplyAccumulate(left, right, s7);
  }
  subgroupMatrixStore<row_major>(&y, 0u * MATRIX, s0, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 1u * MATRIX, s1, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 2u * MATRIX, s2, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 3u * MATRIX, s3, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 4u * MATRIX, s4, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 5u * MATRIX, s5, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 6u * MATRIX, s6, MATRIX_N);
  subgroupMatrixStore<row_major>(&y, 7u * MATRIX, s7, MATRIX_N);
}
