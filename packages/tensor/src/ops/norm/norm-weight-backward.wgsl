// Stage one of dweight = Σ_rows dy · x̂ and dbias = Σ_rows dy, with x̂ = (h − μ) rstd: the sums over blocks of rows.
//
// Blocks make the work parallel, deterministic (no atomics), and exact: √rows short sums instead of a long one.
// Mapping: one invocation per block of rows and `Lanes` of columns, neighbours side by side, so that reads are coalesced.
// Traffic: dy and h are read once, the statistics once per column; 2 · blocks · cols partial sums are written.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are

struct Params { rows: u32, cols: u32, blocks: u32, rows_per_block: u32 }

@group(0) @binding(0) var<storage, read> dy: array<Lanes>;            // [rows, cols]
@group(0) @binding(1) var<storage, read> h: array<Lanes>;             // [rows, cols]
@group(0) @binding(2) var<storage, read> stats: array<vec4f>;         // [rows]: mean, ε, rstd
@group(0) @binding(3) var<storage, read_write> dweight: array<Lanes>; // [blocks, cols]
@group(0) @binding(4) var<storage, read_write> dbias: array<Lanes>;   // [blocks, cols]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let n = params.cols / WIDTH;
  if (i >= params.blocks * n) { return; }
  let first_row = (i / n) * params.rows_per_block;
  let end_row = min(first_row + params.rows_per_block, params.rows);

  var weight_sum = Lanes();
  var bias_sum = Lanes();
  var at = first_row * n + i % n;
  for (var row = first_row; row < end_row; row++) {
    let row_stats = stats[row];
    weight_sum += dy[at] * (((h[at] - row_stats.x) - row_stats.y) * row_stats.z);
    bias_sum += dy[at];
    at += n;
  }
  dweight[i] = weight_sum;
  dbias[i] = bias_sum;
}
