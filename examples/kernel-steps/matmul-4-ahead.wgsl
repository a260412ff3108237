// C = A · B, from the textbook's tile to matmul-tiled.wgsl, step 4: the next tile is on its way while this one is multiplied.
//
// Memory takes some hundred cycles to answer. In step 3 all invocations wait for it between two barriers; here they ask for the next block first, multiply,
// and put it down when they are done. It costs 16 registers. What matmul-tiled.wgsl has beyond this: transposed operands, batches, sizes that aren't multiples
// of the tile, a bias, and k split among workgroups.
// Mapping and traffic: as in step 3. M and N are multiples of 64, K of 8.
struct Params { M: u32, N: u32, K: u32 }

@group(0) @binding(0) var<storage, read> a: array<vec4f>;       // [M, K]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;       // [K, N]
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>; // [M, N]
@group(0) @binding(3) var<uniform> p: Params;

const TILE = 64u;
const DEPTH = 8u;
const LINE = 16u; // vec4s in a line of a tile, a line for each step of k
const BLOCK = 4u * LINE + 4u; // four lines, and the gap
var<workgroup> a_tile: array<vec4f, DEPTH / 4u * BLOCK>; // [k][row]
var<workgroup> b_tile: array<vec4f, DEPTH / 4u * BLOCK>; // [k][column]

// Column i is x[i] · y: WGSL's matrices are stored by columns, so here a column holds a row of C.
fn outer(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

// The block of 4 × 4 that this invocation fetches for the DEPTH steps from k0 on, a column for each of its four steps.
fn fetch(tile: vec2u, me: u32, k0: u32) -> mat4x4f {
  let n = me % 32u;
  if (me < 32u) { // rows 4 (n / 2) …, steps 4 (n % 2) …
    let width = p.K / 4u;
    let at = (tile.y * TILE + n / 2u * 4u) * width + k0 / 4u + n % 2u;
    return transpose(mat4x4f(a[at], a[at + width], a[at + 2u * width], a[at + 3u * width]));
  }
  let width = p.N / 4u; // steps 4 (n / 16) …, columns 4 (n % 16) …
  let at = (k0 + n / LINE * 4u) * width + tile.x * LINE + n % LINE;
  return mat4x4f(b[at], b[at + width], b[at + 2u * width], b[at + 3u * width]);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  var upper_left = mat4x4f();
  var upper_right = mat4x4f();
  var lower_left = mat4x4f();
  var lower_right = mat4x4f();

  let n = me % 32u;
  var next = fetch(tile.xy, me, 0u);
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    workgroupBarrier(); // nobody reads the tiles any more: they may be written
    for (var i = 0u; i < 4u; i++) {
      if (me < 32u) { a_tile[n % 2u * BLOCK + i * LINE + n / 2u] = next[i]; }
      else { b_tile[n / LINE * BLOCK + i * LINE + n % LINE] = next[i]; }
    }
    workgroupBarrier(); // the tiles are whole
    if (k0 + DEPTH < p.K) { next = fetch(tile.xy, me, k0 + DEPTH); }
    for (var k = 0u; k < DEPTH; k++) {
      let line = k / 4u * BLOCK + k % 4u * LINE;
      let upper = a_tile[line + id.y];
      let lower = a_tile[line + LINE / 2u + id.y];
      let left = b_tile[line + id.x];
      let right = b_tile[line + LINE / 2u + id.x];
      upper_left += outer(upper, left);
      upper_right += outer(upper, right);
      lower_left += outer(lower, left);
      lower_right += outer(lower, right);
    }
  }

  let width = p.N / 4u;
  let at = (tile.y * TILE + id.y * 4u) * width + tile.x * LINE + id.x;
  for (var i = 0u; i < 4u; i++) {
    c[at + i * width] = upper_left[i];
    c[at + i * width + LINE / 2u] = upper_right[i];
    c[at + (i + 32u) * width] = lower_left[i];
    c[at + (i + 32u) * width + LINE / 2u] = lower_right[i];
  }
}
