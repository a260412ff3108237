// dx_c = dloss (Σq · softmax(x)_c − q_c), with q the target's mass on class c as in cross-entropy-rows.wgsl.
//
// Mapping: one invocation per vec4 of x, so that as many reads as possible are under way; maximum and sum come from forward. A vec4 may
// reach from one row into the next. For GPUs, and 4 or more classes that lie side by side. Traffic: x (and soft targets) read once, dx written once.
override SOFT: bool = false;      // the target holds probabilities, not class indices
override WEIGHT: bool = false;    // classes have weights
override SMOOTHING: bool = false; // label smoothing is on
override PER_ROW: bool = false;   // dloss has an element per row, not one for all

struct Params { rows: u32, cols: u32, smoothing: f32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [rows · cols / 4]
@group(0) @binding(1) var<storage, read> target_of: array<u32>; // [rows] indices, or bits of probabilities in x's shape
@group(0) @binding(2) var<storage, read> weight: array<f32>;    // [cols]
@group(0) @binding(3) var<storage, read> stats: array<vec4f>;   // [rows]: m, ln Σ exp(x − m), Σ q, divisor
@group(0) @binding(4) var<storage, read> dloss: array<f32>;     // [rows] or [1]
@group(0) @binding(5) var<storage, read> scale: array<f32>;     // [1]: what the mean multiplies by
@group(0) @binding(6) var<storage, read_write> dx: array<vec4f>; // [rows · cols / 4]
@group(0) @binding(7) var<uniform> params: Params;

// What the gradients of a row have in common.
struct Row { stats: vec4f, upstream: f32, label: u32 }

fn row_at(row: u32) -> Row {
  var label = 0u;
  if (!SOFT) { label = target_of[row]; }
  return Row(stats[row], dloss[select(0u, row, PER_ROW)] * scale[0], label);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let row = 4u * i / params.cols;
  if (row >= params.rows) { return; }
  let c = 4u * i - row * params.cols + vec4u(0u, 1u, 2u, 3u);
  let beyond = c >= vec4u(params.cols); // in the next row
  let class_of = select(c, c - params.cols, beyond);
  let own = row_at(row);
  let next = row_at(min(row + 1u, params.rows - 1u));

  let m = select(vec4f(own.stats.x), vec4f(next.stats.x), beyond);
  let log_sum = select(vec4f(own.stats.y), vec4f(next.stats.y), beyond);
  let mass = select(vec4f(own.stats.z), vec4f(next.stats.z), beyond);
  let divisor = select(vec4f(own.stats.w), vec4f(next.stats.w), beyond);
  let upstream = select(vec4f(own.upstream), vec4f(next.upstream), beyond);
  var q = vec4f(class_of == select(vec4u(own.label), vec4u(next.label), beyond));
  if (SOFT) {
    let k = 4u * i;
    q = bitcast<vec4f>(vec4u(target_of[k], target_of[k + 1u], target_of[k + 2u], target_of[k + 3u]));
  }
  if (SMOOTHING) { q = q * (1.0 - params.smoothing) + params.smoothing / f32(params.cols); }
  if (WEIGHT) { q *= vec4f(weight[class_of.x], weight[class_of.y], weight[class_of.z], weight[class_of.w]); }
  let ignored = (mass == vec4f()) & (divisor == vec4f());
  dx[i] = select(upstream * (mass * exp((x[i] - m) - log_sum) - q), vec4f(), ignored);
}
