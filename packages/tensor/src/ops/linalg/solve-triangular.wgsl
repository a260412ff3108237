// x with a x = b, where a [n, n] is triangular: row by row, from the end where a row has one element,
// x[i] = (b[i] − Σ a[i, j] x[j]) / a[i, i] over the rows j that are solved. UNIT takes 1 for a[i, i], TRANSPOSED reads a by columns.
//
// Mapping: one invocation per column of b, since a row waits for those before it. Traffic: a is read once for each column (from cache),
// b once, and x n/2 times.
override UPPER: bool = false;
override UNIT: bool = false;
override TRANSPOSED: bool = false;

struct Params {
  count: u32, // columns in all
  n: u32,
  cols: u32, // of one b
}

@group(0) @binding(0) var<storage, read> a: array<f32>;       // [batch, n, n]
@group(0) @binding(1) var<storage, read> b: array<f32>;       // [batch, n, cols]
@group(0) @binding(2) var<storage, read_write> x: array<f32>; // [batch, n, cols]
@group(0) @binding(3) var<uniform> params: Params;

// The row that is solved at a step: from the first on where only those before it count, else from the last.
fn row_at(step: u32) -> u32 {
  if (UPPER == TRANSPOSED) { return step; }
  return params.n - 1u - step;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let column = id.x + id.y * workgroups.x * 64u;
  if (column >= params.count) { return; }
  let matrix = column / params.cols;
  let first = matrix * params.n * params.cols + column % params.cols;
  let corner = matrix * params.n * params.n;
  let along = vec2u(select(params.n, 1u, TRANSPOSED), select(1u, params.n, TRANSPOSED)); // from row to row of a, from column to column
  for (var step = 0u; step < params.n; step++) {
    let i = row_at(step);
    var sum = b[first + i * params.cols];
    for (var before = 0u; before < step; before++) {
      let j = row_at(before);
      sum -= a[corner + i * along.x + j * along.y] * x[first + j * params.cols];
    }
    if (!UNIT) { sum /= a[corner + i * (params.n + 1u)]; }
    x[first + i * params.cols] = sum;
  }
}
