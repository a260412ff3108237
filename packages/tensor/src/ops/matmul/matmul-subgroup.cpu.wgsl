// C = A · B (+ bias, or + what C held) from packed operands, for CPU adapters whose subgroups have eight lanes: one subgroup makes a 64 × 32 tile of C.
//
// Each step of k is a rank-1 update: 64 values of A's column times 32 values of B's row. A lane owns 4 of the 32 columns, so B's values are
// its own; it loads 8 of A's 64 and passes them round by subgroupShuffle, which is nearly free there, while loads are dear and
// workgroup memory is dearer. Two steps at a time, because the sums lie in the cache: half as many trips there. Traffic per step: 3 vec4
// loads a lane for 2 · 64 · 32 operations. Packing (pack.wgsl) lays both out so that steps follow each other in memory, with zeros in
// unfinished tiles: bounds matter only to store(): epilogue-gelu.wgsl has one that adds GELU. The weights of a linear layer lie well enough
// as they are: weights-in-place.wgsl has a steps() for them.
enable subgroups;

const IN_PLACE = false;     // B is no panels but [batches, N, K]
alias B = vec4f;            // what is read of it at a time
override F16: bool = false; // round B to f16 in place, as mixed precision does; packing does that otherwise

struct Params {
  M: u32, N: u32, K: u32,                              // K as packed: even
  a_step: u32, b_step: u32, c_step: u32,               // from one matrix of the batch to the next; elements
  b_first: u32, c_first: u32,                          // where the first one begins
  bias: u32, accumulate: u32,                          // 1: do. To ask a uniform costs nothing here, another pipeline a second
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [batches, M / 64, K, 64]
@group(0) @binding(1) var<storage, read> b: array<B>;         // [batches, N / 64, K, 64]
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;

// What columns of C are multiplied by: not 1 for weights-i8.wgsl.
fn scales(col: u32) -> vec4f { return vec4f(1.0); }

// Rows k and k + 1 of B, as far as they are a lane's.
struct Steps { row: vec4f, next: vec4f }

fn steps(first: u32, k: u32) -> Steps {
  let at = first / 4u + k * 16u;
  return Steps(b[at], b[at + 16u]);
}

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

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  let a_first = (tile.z * p.a_step + tile.y * p.K * 64u) / 4u + id.x;
  var b_first = p.b_first + tile.z * p.b_step;
  if (IN_PLACE) { b_first += (tile.x * 32u + id.x * 4u) * p.K; } // columns that C doesn't have are whatever is there
  else { b_first += tile.x / 2u * p.K * 64u + tile.x % 2u * 32u + id.x * 4u; }
  var acc: array<vec4f, 64>; // row by row. Mesa unrolls loops with literal bounds, if they are small: one more step of k is too much

  for (var k = 0u; k < p.K; k += 2u) {
    let upper = a[a_first + k * 16u];
    let lower = a[a_first + k * 16u + 8u];
    let next_upper = a[a_first + k * 16u + 16u];
    let next_lower = a[a_first + k * 16u + 24u];
    let own = steps(b_first, k);
    for (var l = 0u; l < 8u; l++) {
      let four = subgroupShuffle(upper, l);
      let next = subgroupShuffle(next_upper, l);
      for (var i = 0u; i < 4u; i++) { acc[l * 4u + i] += four[i] * own.row + next[i] * own.next; }
    }
    for (var l = 0u; l < 8u; l++) {
      let four = subgroupShuffle(lower, l);
      let next = subgroupShuffle(next_lower, l);
      for (var i = 0u; i < 4u; i++) { acc[32u + l * 4u + i] += four[i] * own.row + next[i] * own.next; }
    }
  }

  let col = tile.x * 32u + id.x * 4u;
  if (col >= p.N) { return; }
  let cols = min(4u, p.N - col);
  let factors = scales(col);
  var shift = vec4f();
  if (p.bias == 1u) {
    for (var j = 0u; j < cols; j++) { shift[j] = bias[col + j]; }
  }
  let rows = min(64u, p.M - tile.y * 64u);
  var at = p.c_first + tile.z * p.c_step + tile.y * 64u * p.N + col;
  for (var i = 0u; i < rows; i++) {
    var sum = acc[i] * factors + shift;
    for (var j = 0u; j < 4u; j++) {
      if (j < cols && p.accumulate == 1u) { sum[j] += c[at + j]; }
    }
    store(at, sum, cols);
    at += p.N;
  }
}
