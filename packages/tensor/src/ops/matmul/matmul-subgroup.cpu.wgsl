// C = A · B (+ bias, or + what C held) for CPU adapters whose subgroups have eight lanes: one subgroup makes a 64 × 32 tile of C.
//
// Four steps of k at a time, because the sums lie in the cache: each trip reads and writes them once. A lane owns 4 of the 32 columns, so B's
// values are its own; it loads 8 of the tile's 64 rows of A, and passes them round by subgroupShuffle, which is nearly free there. A and B are
// read as images: lavapipe makes 55 instructions of such a load for eight lanes, and 320 of the same load from a buffer (16 bytes a lane), for in
// a buffer it tests each lane and each number by itself. To copy them into images takes a hundredth of the time of the product.
// Traffic per four steps: 12 loads a lane for 8 · 64 · 32 operations.
//
// Both are read as they lie, along k or across it. Packed before (pack.wgsl) is what isn't whole vectors, what mixed precision rounds, and an A along
// k where C has many columns. Rows and columns that C doesn't have are whatever is there, and aren't stored. Other files take the place of functions:
// epilogue-gelu.wgsl adds GELU, odd-rows.cpu.wgsl writes rows of C that aren't whole vectors, weights-stored.wgsl reads columns of B in fewer bits, and
// row-sums.cpu.wgsl adds up A's rows.
enable subgroups;

const WIDTH = 4096u;  // texels in a row of an image
const A_ALONG = true; // whether k runs along what lies together in A; else rows do
const B_ALONG = true; // the same of B; else columns do
alias C = vec4f;      // what is written of C at a time

struct Params {
  M: u32, N: u32, K: u32,                // K: a multiple of four
  a_line: u32, b_line: u32,              // elements from one line to the next
  a_tile: u32, b_tile: u32,              // from 64 rows of A, or columns of B, to the next
  a_step: u32, b_step: u32, c_step: u32, // from one matrix of the batch to the next
  b_first: u32, c_first: u32,            // where the first one begins
  across: u32,                           // how many tiles of a row come before those below them
  bias: u32, accumulate: u32,            // 1: do. To ask a uniform costs nothing here, another pipeline a second
}

@group(0) @binding(0) var a_image: texture_storage_2d<rgba32float, read>; // [batches, M, K], [batches, K, M] or packed, [batches, M / 64, K, 64]
@group(0) @binding(1) var b_image: texture_storage_2d<rgba32float, read>; // [batches, N, K], [batches, K, N] or packed
@group(0) @binding(2) var<storage, read> bias: array<f32>;                // [N]
@group(0) @binding(3) var<storage, read_write> c: array<C>;               // [batches, M, N]
@group(0) @binding(4) var<uniform> params: Params;

// Four elements of A that lie together, from element `at` on.
fn a_at(at: u32) -> vec4f { return textureLoad(a_image, vec2u(at / 4u % WIDTH, at / 4u / WIDTH)); }

fn b_at(at: u32) -> vec4f { return textureLoad(b_image, vec2u(at / 4u % WIDTH, at / 4u / WIDTH)); }

// What columns of C are multiplied by: not 1 for weights-i8.wgsl.
fn scales(col: u32) -> vec4f { return vec4f(1.0); }

// Steps k to k + 3 of four columns of B, of which the first begins at `first`: a step in each vector.
fn columns(first: u32, k: u32) -> mat4x4f {
  let line = params.b_line;
  if (B_ALONG) { return transpose(mat4x4f(b_at(first + k), b_at(first + line + k), b_at(first + 2u * line + k), b_at(first + 3u * line + k))); }
  let at = first + k * line;
  return mat4x4f(b_at(at), b_at(at + line), b_at(at + 2u * line), b_at(at + 3u * line));
}

// Adds four steps to eight rows of C: `steps` has those of a row in each lane, and the rows are `first`, `first` + `apart` and so on.
fn add(acc: ptr<function, array<vec4f, 64>>, first: u32, apart: u32, steps: vec4f, cols: mat4x4f) {
  for (var lane = 0u; lane < 8u; lane++) {
    let s = subgroupShuffle(steps, lane);
    let row = first + lane * apart;
    (*acc)[row] = (*acc)[row] + (s.x * cols[0] + s.y * cols[1]) + (s.z * cols[2] + s.w * cols[3]);
  }
}

// Where sums over four steps of A's rows `first` + 4 · lane … + 3 go, and at last the sums of all: row-sums.cpu.wgsl.
fn take_rows(first: u32, sums: vec4f) {}
fn write_row_sums(tile: vec3u, lane: u32) {}

// Adds four steps to 32 rows of C, from A's four lines at `at`, across k: a lane has four rows of them.
fn add_across(acc: ptr<function, array<vec4f, 64>>, first: u32, at: u32, cols: mat4x4f) {
  let line = params.a_line;
  let steps = mat4x4f(a_at(at), a_at(at + line), a_at(at + 2u * line), a_at(at + 3u * line));
  take_rows(first, (steps[0] + steps[1]) + (steps[2] + steps[3]));
  let rows = transpose(steps);
  add(acc, first, 4u, rows[0], cols);
  add(acc, first + 1u, 4u, rows[1], cols);
  add(acc, first + 2u, 4u, rows[2], cols);
  add(acc, first + 3u, 4u, rows[3], cols);
}

// Writes four neighbours in a row of C.
fn store(at: u32, sum: vec4f) { c[at] = sum; }

// Writes the first `count` of four neighbours in a row of C, on top of what is there if that is asked for. Here count is 4.
fn write(at: u32, sum: vec4f, count: u32) {
  var all = sum;
  if (params.accumulate == 1u) { all += c[at / 4u]; }
  store(at / 4u, all);
}

// The tile that a workgroup makes: `across` beside each other, then those below, so that what they need of B stays in the cache.
fn place(group: vec3u, workgroups: vec3u) -> vec3u {
  let n = group.x + group.y * workgroups.x;
  let left = n / (params.across * workgroups.y) * params.across;
  let width = min(params.across, workgroups.x - left);
  let within = n - left * workgroups.y;
  return vec3u(left + within % width, within / width, group.z);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) id: vec3u,
) {
  let p = params;
  let lane = id.x;
  let tile = place(group, workgroups);
  let col = tile.x * 32u + lane * 4u;
  let b_first = p.b_first + tile.z * p.b_step + col / 64u * p.b_tile + col % 64u * select(1u, p.b_line, B_ALONG);
  let a_first = tile.z * p.a_step + tile.y * p.a_tile + lane * select(4u, p.a_line, A_ALONG);
  let eight = 8u * p.a_line;
  var acc: array<vec4f, 64>; // row by row

  // Calls in place of a loop: Mesa unrolls loops with literal bounds only if they are small, and sums have to be in places that it knows.
  for (var k = 0u; k < p.K; k += 4u) {
    let cols = columns(b_first, k);
    if (A_ALONG) {
      let at = a_first + k;
      add(&acc, 0u, 1u, a_at(at), cols);
      add(&acc, 8u, 1u, a_at(at + eight), cols);
      add(&acc, 16u, 1u, a_at(at + 2u * eight), cols);
      add(&acc, 24u, 1u, a_at(at + 3u * eight), cols);
      add(&acc, 32u, 1u, a_at(at + 4u * eight), cols);
      add(&acc, 40u, 1u, a_at(at + 5u * eight), cols);
      add(&acc, 48u, 1u, a_at(at + 6u * eight), cols);
      add(&acc, 56u, 1u, a_at(at + 7u * eight), cols);
    } else {
      let at = a_first + k * p.a_line;
      add_across(&acc, 0u, at, cols);
      add_across(&acc, 32u, at + 32u, cols);
    }
  }

  write_row_sums(tile, lane);
  if (col >= p.N) { return; }
  let count = min(4u, p.N - col);
  let factors = scales(col);
  var shift = vec4f();
  if (p.bias == 1u) {
    for (var j = 0u; j < count; j++) { shift[j] = bias[col + j]; }
  }
  let rows = min(64u, p.M - tile.y * 64u);
  var at = p.c_first + tile.z * p.c_step + tile.y * 64u * p.N + col;
  for (var i = 0u; i < rows; i++) {
    write(at, acc[i] * factors + shift, count);
    at += p.N;
  }
}
