// C = A · B (+ bias, or + what C held) from packed operands, with nothing but registers: no workgroup memory, no subgroups. For drivers that are slow at both.
//
// Mapping: one invocation makes an 8 × 8 block of C, held as four 4 × 4 matrices. Each step of k adds the outer product of 8 values of A
// and 8 of B: four vec4 loads for 2 · 8 · 8 operations, where the naive kernel needs a load per operation. Packing (pack.wgsl) puts zeros
// where k ends, and what lies beyond A and B isn't stored, so bounds matter only to the stores.
struct Params {
  M: u32, N: u32, K: u32,                              // K as packed: a multiple of four
  a_step: u32, b_step: u32, c_step: u32, c_first: u32, // from one matrix of the batch to the next; elements
  bias: u32, accumulate: u32,                          // 1: do
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [batches, M / 64, K, 64]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;     // [batches, N / 64, K, 64]
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;

// Column i is x[i] · y: WGSL's matrices are stored by columns, so here a column holds a row of C.
fn outer(x: vec4f, y: vec4f) -> mat4x4f { return mat4x4f(x.x * y, x.y * y, x.z * y, x.w * y); }

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  let a_first = (tile.z * p.a_step + tile.y * p.K * 64u) / 4u + id.y * 2u;
  let b_first = (tile.z * p.b_step + tile.x * p.K * 64u) / 4u + id.x * 2u;
  var upper_left = mat4x4f();
  var upper_right = mat4x4f();
  var lower_left = mat4x4f();
  var lower_right = mat4x4f();
  for (var k = 0u; k < p.K; k += 2u) { // two steps at a time: the sums may not all be in registers
    let upper = a[a_first + k * 16u];
    let lower = a[a_first + k * 16u + 1u];
    let left = b[b_first + k * 16u];
    let right = b[b_first + k * 16u + 1u];
    let next_upper = a[a_first + k * 16u + 16u];
    let next_lower = a[a_first + k * 16u + 17u];
    let next_left = b[b_first + k * 16u + 16u];
    let next_right = b[b_first + k * 16u + 17u];
    upper_left += outer(upper, left) + outer(next_upper, next_left);
    upper_right += outer(upper, right) + outer(next_upper, next_right);
    lower_left += outer(lower, left) + outer(next_lower, next_left);
    lower_right += outer(lower, right) + outer(next_lower, next_right);
  }

  let sums = array(upper_left, upper_right, lower_left, lower_right);
  let row = tile.y * 64u + id.y * 8u;
  let col = tile.x * 64u + id.x * 8u;
  for (var i = 0u; i < 8u && row + i < p.M; i++) {
    for (var j = 0u; j < 8u && col + j < p.N; j++) {
      var sum = sums[i / 4u * 2u + j / 4u][i % 4u][j % 4u];
      let at = p.c_first + tile.z * p.c_step + (row + i) * p.N + col + j;
      if (p.bias == 1u) { sum += bias[col + j]; }
      if (p.accumulate == 1u) { sum += c[at]; }
      c[at] = sum;
    }
  }
}
