// C = A · B (+ bias, or + what C held) from packed operands, for CPU adapters whose subgroups have eight lanes: one subgroup makes a 64 × 64 tile of C.
//
// Each step of k is a rank-1 update: 64 values of A's column times 64 values of B's row. A lane owns 8 of the 64 columns, so B's values are
// its own; it loads 8 of A's 64 and passes them round by subgroupShuffle, which is nearly free there, while loads are dear and
// workgroup memory is dearer. Traffic per step: 4 vec4 loads a lane for 2 · 64 · 64 operations. Packing (pack.wgsl) lays both out so
// that steps of k follow each other in memory, with zeros in unfinished tiles: bounds matter only to the stores.
enable subgroups;

struct Params {
  M: u32, N: u32, K: u32,
  a_step: u32, b_step: u32, c_step: u32, c_first: u32, // from one matrix of the batch to the next; elements
  bias: u32, accumulate: u32,                          // 1: do. To ask a uniform costs nothing here, another pipeline a second
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;     // [batches, M / 64, K, 64]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;     // [batches, N / 64, K, 64]
@group(0) @binding(2) var<storage, read> bias: array<f32>;    // [N]
@group(0) @binding(3) var<storage, read_write> c: array<f32>; // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let lane = id.x;
  let p = params;
  let a_first = (tile.z * p.a_step + tile.y * p.K * 64u) / 4u + lane;
  let b_first = (tile.z * p.b_step + tile.x * p.K * 64u) / 4u + lane;
  // Row by row, columns 4 · lane … and 32 + 4 · lane …. Loops with literal bounds are unrolled, and so it stays close to the registers.
  var acc: array<array<vec4f, 2>, 64>;

  for (var k = 0u; k < p.K; k++) {
    let upper = a[a_first + k * 16u];
    let lower = a[a_first + k * 16u + 8u];
    let left = b[b_first + k * 16u];
    let right = b[b_first + k * 16u + 8u];
    for (var l = 0u; l < 8u; l++) {
      let rows = subgroupShuffle(upper, l);
      for (var i = 0u; i < 4u; i++) {
        acc[l * 4u + i][0] += rows[i] * left;
        acc[l * 4u + i][1] += rows[i] * right;
      }
    }
    for (var l = 0u; l < 8u; l++) { // not one loop with the other: Mesa would no longer unroll it
      let rows = subgroupShuffle(lower, l);
      for (var i = 0u; i < 4u; i++) {
        acc[32u + l * 4u + i][0] += rows[i] * left;
        acc[32u + l * 4u + i][1] += rows[i] * right;
      }
    }
  }

  let rows = min(64u, p.M - tile.y * 64u);
  for (var half = 0u; half < 2u; half++) {
    let col = tile.x * 64u + half * 32u + lane * 4u;
    if (col < p.N) {
      let cols = min(4u, p.N - col);
      var shift = vec4f();
      if (p.bias == 1u) {
        for (var j = 0u; j < cols; j++) { shift[j] = bias[col + j]; }
      }
      var at = p.c_first + tile.z * p.c_step + tile.y * 64u * p.N + col;
      for (var i = 0u; i < rows; i++) {
        let sum = acc[i][half] + shift;
        if (p.accumulate == 1u) {
          for (var j = 0u; j < cols; j++) { c[at + j] += sum[j]; }
        } else if (cols == 4u) {
          c[at] = sum.x;
          c[at + 1u] = sum.y;
          c[at + 2u] = sum.z;
          c[at + 3u] = sum.w;
        } else {
          for (var j = 0u; j < cols; j++) { c[at + j] = sum[j]; }
        }
        at += p.N;
      }
    }
  }
}
