// Stage one of dweight = Σ_rows dy · x̂ and dbias = Σ_rows dy, with x̂ = (h − μ) rstd: the sums over blocks of rows.
//
// Blocks make the work parallel, deterministic (no atomics), and exact: many short sums instead of a long one.
// Mapping: a workgroup per block of rows and WIDE vectors of columns; invocation (wide, deep) adds up every DEEP-th row of them, four at
// a time so that their reads are under way together, and a tree in workgroup memory joins the DEEP sums. A CPU adapter takes DEEP = 1:
// no workgroup memory then. Traffic: dy and h are read once; 2 · blocks · cols partial sums are written.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
const WIDTH = 4u;    // how many these are
const STEP = 4u;     // rows that an invocation reads at once
override WIDE: u32 = 32; // invocations side by side
override DEEP: u32 = 8;  // invocations below each other, a power of two

struct Params { rows: u32, cols: u32, rows_per_block: u32 }

@group(0) @binding(0) var<storage, read> dy: array<Lanes>;            // [rows, cols]
@group(0) @binding(1) var<storage, read> h: array<Lanes>;             // [rows, cols]
@group(0) @binding(2) var<storage, read> stats: array<vec4f>;         // [rows]: mean, ε, rstd
@group(0) @binding(3) var<storage, read_write> partial: array<Lanes>; // [blocks, 2, cols]: of dweight, of dbias
@group(0) @binding(4) var<uniform> params: Params;

struct Sums { weight: Lanes, bias: Lanes }

var<workgroup> tree: array<Sums, WIDE * DEEP>;

@compute @workgroup_size(WIDE, DEEP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) at: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = params.cols / WIDTH;
  let column = group.x * WIDE + at.x;
  let c = min(column, n - 1u); // beyond the end: the last again, and not written
  let first_row = group.y * params.rows_per_block;
  let end_row = min(first_row + params.rows_per_block, params.rows);

  var sums = Sums();
  for (var row = first_row + at.y; row < end_row; row += STEP * DEEP) {
    var upstream: array<Lanes, STEP>;
    var element: array<Lanes, STEP>;
    var row_stats: array<vec4f, STEP>;
    for (var k = 0u; k < STEP; k++) {
      let r = min(row + k * DEEP, params.rows - 1u);
      upstream[k] = dy[r * n + c];
      element[k] = h[r * n + c];
      row_stats[k] = stats[r];
    }
    for (var k = 0u; k < STEP; k++) {
      let s = row_stats[k];
      let g = select(Lanes(), upstream[k], row + k * DEEP < end_row);
      sums.weight += g * (((element[k] - s.x) - s.y) * s.z);
      sums.bias += g;
    }
  }
  if (DEEP > 1u) {
    tree[lane] = sums;
    for (var half = DEEP / 2u; half > 0u; half /= 2u) {
      workgroupBarrier(); // the lower half is written
      if (at.y < half) {
        sums.weight += tree[lane + half * WIDE].weight;
        sums.bias += tree[lane + half * WIDE].bias;
        tree[lane] = sums;
      }
    }
  }
  if (at.y == 0u && column < n) {
    let to = 2u * group.y * n + column;
    partial[to] = sums.weight;
    partial[to + n] = sums.bias;
  }
}
