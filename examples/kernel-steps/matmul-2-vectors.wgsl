// C = A · B, from the textbook's tile to matmul-tiled.wgsl, step 2: everything is fetched 16 bytes at a time.
//
// A load of a vector costs about as much as one of a number, from memory and from workgroup memory. In the loop 8 values of A have to lie together,
// and those are of one column: so A's tile is stored by columns. What lies together in memory is a row, so a block of 4 × 4 is turned in registers.
// Mapping: as in step 1. To fetch, invocations 0 … 31 take a block of A each, 32 … 63 one of B; neighbours take what lies together in memory.
// Traffic: as in step 1, in a quarter of the loads: four of vectors for 64 multiply-adds. M and N are multiples of 64, K of 8.
struct Params { M: u32, N: u32, K: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4f>;       // [M, K]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;       // [K, N]
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> p: Params;

const TILE = 64u;
const DEPTH = 8u;
const LINE = 16u; // vec4s in a line of a tile, a line for each step of k
var<workgroup> a_tile: array<vec4f, DEPTH * LINE>; // [k][row]
var<workgroup> b_tile: array<vec4f, DEPTH * LINE>; // [k][column]

// Column i is x[i] · y: WGSL's matrices are stored by columns, so here a column holds a row of C.
fn outer(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  var upper_left = mat4x4f();
  var upper_right = mat4x4f();
  var lower_left = mat4x4f();
  var lower_right = mat4x4f();

  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    workgroupBarrier(); // nobody reads the tiles any more: they may be written
    let n = me % 32u;
    if (me < 32u) { // rows 4 (n / 2) …, steps 4 (n % 2) …
      let width = p.K / 4u;
      let at = (tile.y * TILE + n / 2u * 4u) * width + k0 / 4u + n % 2u;
      let block = transpose(mat4x4f(a[at], a[at + width], a[at + 2u * width], a[at + 3u * width]));
      for (var i = 0u; i < 4u; i++) { a_tile[(n % 2u * 4u + i) * LINE + n / 2u] = block[i]; }
    } else { // steps 4 (n / 16) …, columns 4 (n % 16) …
      let width = p.N / 4u;
      let at = (k0 + n / LINE * 4u) * width + tile.x * LINE + n % LINE;
      for (var i = 0u; i < 4u; i++) { b_tile[(n / LINE * 4u + i) * LINE + n % LINE] = b[at + i * width]; }
    }
    workgroupBarrier(); // the tiles are whole
    for (var k = 0u; k < DEPTH; k++) {
      let upper = a_tile[k * LINE + id.y * 2u];
      let lower = a_tile[k * LINE + id.y * 2u + 1u];
      let left = b_tile[k * LINE + id.x * 2u];
      let right = b_tile[k * LINE + id.x * 2u + 1u];
      upper_left += outer(upper, left);
      upper_right += outer(upper, right);
      lower_left += outer(lower, left);
      lower_right += outer(lower, right);
    }
  }

  let width = p.N / 4u;
  let at = (tile.y * TILE + id.y * 8u) * width + tile.x * LINE + id.x * 2u;
  for (var i = 0u; i < 4u; i++) {
    c[at + i * width] = upper_left[i];
    c[at + i * width + 1u] = upper_right[i];
    c[at + (i + 4u) * width] = lower_left[i];
    c[at + (i + 4u) * width + 1u] = lower_right[i];
  }
}
