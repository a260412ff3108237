// C = op(A) · op(B) (+ bias, or + what C held), the textbook's tile: a workgroup makes 16 × 16 of C, an invocation one element. op transposes, or not.
//
// For 16 steps of k at a time, the workgroup copies a tile of A and one of B to workgroup memory, one element each per invocation; there each is
// used 16 times. The formula in the inner loop is that of matmul-naive.wgsl, but its reads stay within the workgroup.
// Traffic: A is read N / 16 times, B M / 16 times. What limits it now: two reads of workgroup memory for each multiply-add.
const SIDE = 16u;
override F16: bool = false; // round the factors to f16, as mixed precision does

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

var<workgroup> a_tile: array<array<f32, SIDE + 1u>, SIDE>; // [row][k]: a line is one longer than the tile, so that those who write or read
var<workgroup> b_tile: array<array<f32, SIDE + 1u>, SIDE>; // [k][col]  a column of it use different banks of memory

fn rounded(v: f32) -> f32 {
  if (F16) { return quantizeToF16(v); }
  return v;
}

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  let row = tile.y * SIDE;
  let col = tile.x * SIDE;
  let a_batch = p.a_first + tile.z * p.a_step;
  let b_batch = p.b_first + tile.z * p.b_step;
  // Neighbours, who differ in id.x, copy what lies together in memory: that is along a row, or along a column of what is taken transposed.
  let of_a = select(id.xy, id.yx, p.a_col == 1u); // (row, k)
  let of_b = select(id.yx, id.xy, p.b_row == 1u); // (k, col)

  var sum = 0.0;
  for (var k0 = 0u; k0 < p.K; k0 += SIDE) {
    var from_a = 0.0; // beyond the matrices' ends
    var from_b = 0.0;
    if (row + of_a.x < p.M && k0 + of_a.y < p.K) { from_a = a[a_batch + (row + of_a.x) * p.a_row + (k0 + of_a.y) * p.a_col]; }
    if (col + of_b.y < p.N && k0 + of_b.x < p.K) { from_b = b[b_batch + (k0 + of_b.x) * p.b_row + (col + of_b.y) * p.b_col]; }
    a_tile[of_a.x][of_a.y] = rounded(from_a);
    b_tile[of_b.x][of_b.y] = rounded(from_b);
    workgroupBarrier(); // the tiles are whole
    var part = 0.0; // sums of sums: rounding errors grow with the number of tiles, not with K
    for (var k = 0u; k < SIDE; k++) { part += a_tile[id.y][k] * b_tile[k][id.x]; }
    sum += part;
    workgroupBarrier(); // nobody reads them any more: the next may be written
  }

  if (row + id.y >= p.M || col + id.x >= p.N) { return; }
  let at = p.c_first + tile.z * p.c_step + (row + id.y) * p.N + col + id.x;
  if (p.bias == 1u) { sum += bias[col + id.x]; }
  if (p.accumulate == 1u) { sum += c[at]; }
  c[at] = sum;
}
