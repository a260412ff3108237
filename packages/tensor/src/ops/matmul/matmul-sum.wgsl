// C = Σ over splits of their parts (+ bias, or + what C held): the second half of a product whose k was split, or whose rows don't begin at whole vectors.
//
// Always added in the same order, so the result is the same every time, as it would not be with atomics.
// Mapping: one invocation per element of C, or four. Traffic: each part is read once, C written once.
alias Lanes = f32; // vec4f where rows of C are whole vectors
const WIDTH = 1u;  // how many these are

struct Params {
  M: u32, N: u32, batches: u32, splits: u32,
  c_first: u32, c_step: u32,  // where the first matrix of the batch begins in C, and how far on the next one does
  bias: u32, accumulate: u32, // 1: do
}

@group(0) @binding(0) var<storage, read> parts: array<Lanes>;   // [batches, splits, M, N rounded up to a multiple of four]
@group(0) @binding(1) var<storage, read> bias: array<Lanes>;    // [N]
@group(0) @binding(2) var<storage, read_write> c: array<Lanes>; // [batches, M, N]
@group(0) @binding(3) var<uniform> params: Params;

// Adds up the parts of a row's sum, where the product had them: row-sums-add.wgsl has one that does.
fn add_row_sums(row: u32) {}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let p = params;
  let i = id.x + id.y * workgroups.x * 64u; // large launches are folded into two dimensions
  add_row_sums(i);
  let cols = p.N / WIDTH;
  let batch = i / (p.M * cols);
  if (batch >= p.batches) { return; }
  let col = i % cols;
  let row = i / cols % p.M;
  let width = (p.N + 3u) / 4u * (4u / WIDTH);
  let first = (batch * p.splits * p.M + row) * width + col;

  var sum = Lanes();
  for (var split = 0u; split < p.splits; split++) { sum += parts[first + split * p.M * width]; }
  let at = (p.c_first + batch * p.c_step) / WIDTH + row * cols + col;
  if (p.bias == 1u) { sum += bias[col]; }
  if (p.accumulate == 1u) { sum += c[at]; }
  c[at] = sum;
}
