// C = op(A) · op(B) (+ bias, or + what C held) for GPUs: a workgroup makes a square tile of C, an invocation 8 × 8 of it. op transposes, or not.
//
// Per DEPTH steps of k, the workgroup copies what its tile needs of A and B to workgroup memory; there, each value is read by a whole row or
// column of invocations. Registers do the rest: two vec4 of A and two of B for 2 · 8 · 8 operations. An invocation's rows, and its columns,
// are two runs of four, half a tile apart, so that neighbours read neighbouring vectors: no bank conflicts.
// Traffic: A is read N / tile times, B M / tile times, C is written once, by store(): epilogue-gelu.wgsl has one that adds GELU.
override SIDE: u32 = 8; // invocations along a side of the tile: 8 or 16
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

const DEPTH = 16u;               // steps of k in workgroup memory
override LINE: u32 = SIDE * 2u + 1u; // vec4 in a line, one per step of k: a tile's side, and one more against bank conflicts while copying
var<workgroup> a_tile: array<vec4f, DEPTH * LINE>;
var<workgroup> b_tile: array<vec4f, DEPTH * LINE>;

fn rounded(v: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(v); }
  return v;
}

// Column i is x[i] · y: WGSL's matrices are stored by columns, so here a column holds a row of C.
fn outer(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

// Writes the first `count` of four neighbours in a row of C.
fn store(at: u32, sum: vec4f, count: u32) {
  if (count == 4u) {
    c[at] = sum.x;
    c[at + 1u] = sum.y;
    c[at + 2u] = sum.z;
    c[at + 3u] = sum.w;
  } else {
    for (var j = 0u; j < 3u; j++) {
      if (j < count) { c[at + j] = sum[j]; }
    }
  }
}

@compute @workgroup_size(SIDE, SIDE)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  let p = params;
  let row = tile.y * SIDE * 8u;
  let col = tile.x * SIDE * 8u;
  let a_batch = p.a_first + tile.z * p.a_step;
  let b_batch = p.b_first + tile.z * p.b_step;
  var upper_left = mat4x4f();
  var upper_right = mat4x4f();
  var lower_left = mat4x4f();
  var lower_right = mat4x4f();

  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    // Each copies vectors of four rows of A (columns of B) at one k. Neighbours take what lies together in memory: another k, or other rows.
    for (var v = me; v < DEPTH * SIDE * 2u; v += SIDE * SIDE) {
      let k_a = select(v / (SIDE * 2u), v % DEPTH, p.a_col == 1u);
      let i = select(v % (SIDE * 2u), v / DEPTH, p.a_col == 1u);
      let k_b = select(v / (SIDE * 2u), v % DEPTH, p.b_row == 1u);
      let j = select(v % (SIDE * 2u), v / DEPTH, p.b_row == 1u);
      var four_a = vec4f();
      var four_b = vec4f();
      for (var e = 0u; e < 4u; e++) {
        let r = row + i * 4u + e;
        let s = col + j * 4u + e;
        if (r < p.M && k0 + k_a < p.K) { four_a[e] = a[a_batch + r * p.a_row + (k0 + k_a) * p.a_col]; }
        if (s < p.N && k0 + k_b < p.K) { four_b[e] = b[b_batch + (k0 + k_b) * p.b_row + s * p.b_col]; }
      }
      a_tile[k_a * LINE + i] = rounded(four_a);
      b_tile[k_b * LINE + j] = rounded(four_b);
    }
    workgroupBarrier(); // the tiles are whole
    for (var k = 0u; k < DEPTH; k++) {
      let upper = a_tile[k * LINE + id.y];
      let lower = a_tile[k * LINE + SIDE + id.y];
      let left = b_tile[k * LINE + id.x];
      let right = b_tile[k * LINE + SIDE + id.x];
      upper_left += outer(upper, left);
      upper_right += outer(upper, right);
      lower_left += outer(lower, left);
      lower_right += outer(lower, right);
    }
    workgroupBarrier(); // nobody reads them any more: the next may be written
  }

  let sums = array(upper_left, upper_right, lower_left, lower_right);
  for (var i = 0u; i < 8u; i++) {
    for (var half = 0u; half < 2u; half++) {
      let r = row + (i / 4u * SIDE + id.y) * 4u + i % 4u;
      let s = col + (half * SIDE + id.x) * 4u;
      if (r < p.M && s < p.N) {
        var sum = sums[i / 4u * 2u + half][i % 4u];
        let at = p.c_first + tile.z * p.c_step + r * p.N + s;
        let count = min(4u, p.N - s);
        for (var j = 0u; j < 4u; j++) {
          if (j < count && p.bias == 1u) { sum[j] += bias[s + j]; }
          if (j < count && p.accumulate == 1u) { sum[j] += c[at + j]; }
        }
        store(at, sum, count);
      }
    }
  }
}
