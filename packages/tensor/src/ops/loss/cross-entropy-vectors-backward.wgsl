// dx_c = dloss (Σq · softmax(x)_c − q_c), with q the target's mass on class c as in cross-entropy-rows.wgsl.
//
// Mapping: one invocation per vector of x, so that as many reads as possible are under way; maximum and sum come from forward. For
// GPUs, and classes that lie side by side. Traffic: x (and soft targets) read once, dx written once.
alias Lanes = f32;    // elements that are read at once: vec4f where rows are whole vec4s, unless SOFT
alias Classes = u32;  // as many
const WIDTH = 1u;     // how many these are
const OFFSETS = 0u;   // of Classes from the first: vec4u(0, 1, 2, 3)
override SOFT: bool = false;      // the target holds probabilities, not class indices
override WEIGHT: bool = false;    // classes have weights
override SMOOTHING: bool = false; // label smoothing is on
override PER_ROW: bool = false;   // dloss has an element per row, not one for all

struct Params { rows: u32, cols: u32, smoothing: f32 }

@group(0) @binding(0) var<storage, read> x: array<Lanes>;        // [rows, cols / WIDTH]
@group(0) @binding(1) var<storage, read> target_of: array<u32>;   // [rows] indices, or bits of probabilities in x's shape
@group(0) @binding(2) var<storage, read> weight: array<Lanes>;    // [cols / WIDTH]
@group(0) @binding(3) var<storage, read> stats: array<vec4f>;   // [rows]: m, ln Σ exp(x − m), Σ q, divisor
@group(0) @binding(4) var<storage, read> dloss: array<f32>;     // [rows] or [1]
@group(0) @binding(5) var<storage, read> scale: array<f32>;     // [1]: what the mean multiplies by
@group(0) @binding(6) var<storage, read_write> dx: array<Lanes>;  // [rows, cols / WIDTH]
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let vectors = params.cols / WIDTH;
  let row = i / vectors;
  if (row >= params.rows) { return; }
  let v = i - row * vectors; // which of the row's vectors

  let row_stats = stats[row];
  let upstream = dloss[select(0u, row, PER_ROW)] * scale[0];
  let ignored = row_stats.z == 0.0 && row_stats.w == 0.0;
  var p = Lanes();
  if (SOFT) {
    p = Lanes(bitcast<f32>(target_of[i]));
  } else {
    p = Lanes(Classes(WIDTH * v) + OFFSETS == Classes(target_of[row]));
  }
  if (SMOOTHING) { p = p * (1.0 - params.smoothing) + params.smoothing / f32(params.cols); }
  if (WEIGHT) { p *= weight[v]; }
  dx[i] = select(upstream * (row_stats.z * exp((x[i] - row_stats.x) - row_stats.y) - p), Lanes(), ignored);
}
