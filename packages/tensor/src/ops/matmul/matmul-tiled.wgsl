// C = op(A) · op(B) (+ bias, or + what C held) for GPUs: a workgroup makes a square tile of C, an invocation 8 × 8 of it. op transposes, or not.
//
// For DEPTH steps of k at a time, each invocation fetches a block of 4 × 4, one half of them of A, the other of B, into workgroup memory. There
// a value is read by a whole row or column of invocations: per step of k two vec4 of A and two of B for 8 · 8 multiply-adds in registers, while
// the next blocks are on their way. Neighbours fetch what lies together in memory, 16 bytes each, and turn their block if that runs along k.
// Traffic: A is read N / tile times, B M / tile times; C is written once, by store(): epilogue-gelu-store-vectors.wgsl has one that adds GELU.
//
// Where C has too few tiles to keep a GPU busy, k is split among workgroups: c then holds their parts of the sums, for matmul-sum.wgsl.
override SIDE: u32 = 2;            // blocks of 8 × 8 invocations along a side of the tile: 1 or 2 (64 × 64, 128 × 128 of C)
override BLOCKS: u32 = 4;          // of them in the tile: SIDE · SIDE
override A_ALIGNED: bool = true;   // whatever of A lies together begins at, and is as long as, a multiple of four elements
override B_ALIGNED: bool = true;
override UNROLL: bool = true;      // the storing: CPU drivers take seconds to compile what comes of it
override F16: bool = false;        // round the factors to f16, as mixed precision does

struct Params {
  M: u32, N: u32, K: u32, splits: u32, chunk: u32, // steps of k in a split: a multiple of DEPTH
  a_row: u32, a_col: u32, b_row: u32, b_col: u32,  // elements from one row or column to the next: one of the two is 1
  a_first: u32, b_first: u32, c_first: u32,        // where the first matrix of the batch begins,
  a_step: u32, b_step: u32, c_step: u32,           // and how far on the next one does
  bias: u32, accumulate: u32,                      // 1: do
  one: u32,                                        // is 1, which a compiler can't know
}

@group(0) @binding(0) var<storage, read> a: array<f32>;         // [batches, M, K], or [batches, K, M] if transposed
@group(0) @binding(1) var<storage, read> b: array<f32>;         // [batches, K, N], or [batches, N, K] if transposed
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>; // [batches, splits, M, N], N rounded up to a multiple of four
@group(0) @binding(4) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> a4: array<vec4f>;      // A and B again: the same buffers, for loads of 16 bytes
@group(0) @binding(7) var<storage, read> b4: array<vec4f>;

override DEPTH: u32 = SIDE * 8u;
override HALF: u32 = BLOCKS * 32u;              // of the invocations
override LINE: u32 = SIDE * 16u;                // vec4 in a line, one line per step of k: the tile's side
override BLOCK: u32 = LINE * 4u + 4u / SIDE;    // four lines, and a gap: neighbours who turned their blocks write to different banks
override TILE: u32 = DEPTH / 4u * BLOCK;
var<workgroup> tiles: array<vec4f, 2u * TILE>;  // A's, then B's

// What an invocation fetches: four rows of A (columns of B), four steps of k at a time.
struct Source {
  of_a: bool,
  along_k: bool, // steps of k are what lies together; otherwise the rows are
  first: u32,    // where it begins at k = 0
  line: u32,     // elements from one run of what lies together to the next
  k: u32,        // which of the DEPTH steps
  to: u32,       // where in the tiles it goes
}

fn source(p: Params, tile: vec3u, me: u32) -> Source {
  let of_a = me < HALF;
  let i = me % HALF;
  let along_k = select(p.b_row, p.a_col, of_a) == 1u;
  let block = select(i / LINE, i % (DEPTH / 4u), along_k);
  let rows = select(i % LINE, i / (DEPTH / 4u), along_k);
  let line = select(max(p.b_row, p.b_col), max(p.a_row, p.a_col), of_a);
  let batch = tile.z / p.splits;
  let matrix = select(p.b_first + batch * p.b_step, p.a_first + batch * p.a_step, of_a);
  let row = (select(tile.x, tile.y, of_a) * LINE + rows) * 4u;
  return Source(of_a, along_k, matrix + row * select(1u, line, along_k), line, block * 4u, select(TILE, 0u, of_a) + block * BLOCK + rows);
}

// Four that lie together.
fn four_of_a(at: u32) -> vec4f {
  if (A_ALIGNED) { return a4[at / 4u]; }
  return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]);
}

fn four_of_b(at: u32) -> vec4f {
  if (B_ALIGNED) { return b4[at / 4u]; }
  return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
}

// The block from step k on, a column for each, with zeros from `end` on. Rows that A does not have are whatever is there: they make rows that C does not have.
fn fetch(s: Source, k: u32, end: u32) -> mat4x4f {
  let at = s.first + k * select(s.line, 1u, s.along_k);
  let l = s.line;
  var block: mat4x4f;
  if (s.of_a) { block = mat4x4f(four_of_a(at), four_of_a(at + l), four_of_a(at + 2u * l), four_of_a(at + 3u * l)); }
  else { block = mat4x4f(four_of_b(at), four_of_b(at + l), four_of_b(at + 2u * l), four_of_b(at + 3u * l)); }
  if (s.along_k) { block = transpose(block); }
  if (k + 4u > end) {
    let left = end - min(k, end);
    block = mat4x4f(select(vec4f(), block[0], left > 0u), select(vec4f(), block[1], left > 1u), select(vec4f(), block[2], left > 2u), vec4f());
  }
  return block;
}

fn rounded(v: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(v); }
  return v;
}

// Column i is x[i] · y: WGSL's matrices are stored by columns, so here a column holds a row of C.
fn outer(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

// Writes four neighbours in a row of C.
fn store(at: u32, sum: vec4f) {
  c[at] = sum;
}

// Sums of the rows of op(A), of which this invocation has fetched four at four steps of k: row-sums-tiled.wgsl has these two where they are asked for.
fn take_rows(of_a: mat4x4f) {}
fn write_row_sums(tile: vec3u, s: Source, me: u32) {}

@compute @workgroup_size(8, 8, BLOCKS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  let p = params;
  let s = source(p, tile, me);
  let begin = tile.z % p.splits * p.chunk;
  let end = min(begin + p.chunk, p.K);
  // An invocation's rows, and columns, are two runs of four, half a tile apart, so that neighbours read neighbouring vectors: no bank conflicts.
  let y = id.z / SIDE * 8u + id.y;
  let x = id.z % SIDE * 8u + id.x;
  var upper_left = mat4x4f();
  var upper_right = mat4x4f();
  var lower_left = mat4x4f();
  var lower_right = mat4x4f();

  var next = fetch(s, begin + s.k, end);
  for (var k0 = begin; k0 < end; k0 += DEPTH) {
    workgroupBarrier(); // nobody reads the tiles any more: they may be written
    take_rows(next);
    tiles[s.to] = rounded(next[0]);
    tiles[s.to + LINE] = rounded(next[1]);
    tiles[s.to + 2u * LINE] = rounded(next[2]);
    tiles[s.to + 3u * LINE] = rounded(next[3]);
    workgroupBarrier(); // the tiles are whole
    if (k0 + DEPTH < end) { next = fetch(s, k0 + DEPTH + s.k, end); }
    for (var block = 0u; block < DEPTH / 4u; block++) {
      for (var k = 0u; k < 4u; k++) { // unrolled: what is constant comes last, and is a part of the instruction
        let upper = tiles[block * BLOCK + y + k * LINE];
        let lower = tiles[block * BLOCK + y + (k * LINE + LINE / 2u)];
        let left = tiles[block * BLOCK + x + (k * LINE + TILE)];
        let right = tiles[block * BLOCK + x + (k * LINE + LINE / 2u + TILE)];
        upper_left += outer(upper, left);
        upper_right += outer(upper, right);
        lower_left += outer(lower, left);
        lower_right += outer(lower, right);
      }
    }
  }

  write_row_sums(tile, s, me);
  let one = select(p.one, 1u, UNROLL);
  let sums = array(upper_left, upper_right, lower_left, lower_right);
  let width = (p.N + 3u) / 4u;
  for (var i = 0u; i < 8u; i += one) {
    for (var half = 0u; half < 2u; half++) {
      let row = (tile.y * LINE + i / 4u * (LINE / 2u) + y) * 4u + i % 4u;
      let col = tile.x * LINE + half * (LINE / 2u) + x;
      if (row < p.M && col < width) {
        let at = (p.c_first + tile.z * p.c_step) / 4u + row * width + col;
        var sum = sums[i / 4u * 2u + half][i % 4u];
        if (p.bias == 1u) { sum += bias[col]; }
        if (p.accumulate == 1u) { sum += c[at]; }
        store(at, sum);
      }
    }
  }
}
