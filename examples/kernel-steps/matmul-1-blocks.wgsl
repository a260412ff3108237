// C = A · B, from the textbook's tile to matmul-tiled.wgsl, step 1: an invocation makes 8 × 8 elements of C instead of one.
//
// Each number that it reads from workgroup memory is then used eight times: 16 reads for 64 multiply-adds, where it was 128.
// Mapping: 8 × 8 invocations make a tile of 64 × 64; (x, y) owns rows 8 y … 8 y + 7 and columns 8 x … 8 x + 7 of it.
// Traffic: A is read N / 64 times, B M / 64 times, a number at a time. M and N are multiples of 64, K of 8.
struct Params { M: u32, N: u32, K: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;       // [M, K]
@group(0) @binding(1) var<storage, read> b: array<f32>;       // [K, N]
@group(0) @binding(2) var<storage, read_write> c: array<f32>; // [M, N]
@group(0) @binding(3) var<uniform> p: Params;

const TILE = 64u;
const DEPTH = 8u; // steps of k between barriers
const THREADS = 64u;
var<workgroup> a_tile: array<f32, TILE * DEPTH>; // [row][k]
var<workgroup> b_tile: array<f32, DEPTH * TILE>; // [k][column]

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  let row = tile.y * TILE;
  let col = tile.x * TILE;
  var sums = array<array<f32, 8>, 8>(); // [row][column]

  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    workgroupBarrier(); // nobody reads the tiles any more: they may be written
    for (var n = me; n < TILE * DEPTH; n += THREADS) {
      a_tile[n] = a[(row + n / DEPTH) * p.K + k0 + n % DEPTH];
      b_tile[n] = b[(k0 + n / TILE) * p.N + col + n % TILE];
    }
    workgroupBarrier(); // the tiles are whole
    for (var k = 0u; k < DEPTH; k++) {
      var of_b = array<f32, 8>();
      for (var j = 0u; j < 8u; j++) { of_b[j] = b_tile[k * TILE + id.x * 8u + j]; }
      for (var i = 0u; i < 8u; i++) {
        let of_a = a_tile[(id.y * 8u + i) * DEPTH + k];
        for (var j = 0u; j < 8u; j++) { sums[i][j] += of_a * of_b[j]; }
      }
    }
  }

  for (var i = 0u; i < 8u; i++) {
    for (var j = 0u; j < 8u; j++) { c[(row + id.y * 8u + i) * p.N + col + id.x * 8u + j] = sums[i][j]; }
  }
}
