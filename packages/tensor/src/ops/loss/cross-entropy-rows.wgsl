// loss = Σ_c q_c (lse − x_c) for each row of logits, lse = ln Σ exp x. q is the target's mass on class c: the class weight at
// the target and 0 elsewhere, or weight · probability; label smoothing moves the part s of it evenly to all classes.
//
// Written as Σ q (m − x_c) + Σq · ln Σ exp(x − m) with m = max x: nothing overflows, and the logarithm keeps its digits.
// Online: maximum and sum in one pass; when a larger m' turns up, what was summed is brought to it by exp(m − m').
// Mapping: one invocation per row, for CPU adapters. Traffic: x is read once; once more, from cache, if q has many classes.
alias Lanes = f32;  // elements that are read at once: vec4f where rows are contiguous; the first and last may reach into other rows
alias Places = u32; // as many
const WIDTH = 1u;   // how many these are
const OFFSETS = 0u; // of Places from the first: vec4u(0, 1, 2, 3)
override SOFT: bool = false;      // the target holds probabilities, not class indices
override WEIGHT: bool = false;    // classes have weights
override SMOOTHING: bool = false; // label smoothing is on
override ROWS_PER_GROUP: u32 = 8; // invocations in a workgroup

const LOWEST = -0x1.fffffep+127; // finite: from −∞, the maximum of a row that begins with −∞ would become NaN

struct Params { rows: u32, cols: u32, inner: u32, ignore_index: i32, smoothing: f32, nan: u32 } // inner: elements between classes

@group(0) @binding(0) var<storage, read> x: array<Lanes>;           // [rows / inner, cols, inner]
@group(0) @binding(1) var<storage, read> target_of: array<u32>;     // [rows] indices, or bits of probabilities in x's shape
@group(0) @binding(2) var<storage, read> weight: array<f32>;        // [cols]
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;    // [rows]
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>; // [rows]: m, ln Σ exp(x − m), Σ q, the row's part of the mean's divisor
@group(0) @binding(5) var<uniform> params: Params;

fn weight_of(c: u32) -> f32 {
  if (WEIGHT) { return weight[c]; }
  return 1.0;
}

// The largest lane, and the sum of all; vec4f(v) repeats an f32 four times.
fn max_of(v: Lanes) -> f32 {
  let w = vec4f(v);
  return max(max(w.x, w.y), max(w.z, w.w));
}
fn sum_of(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

// Element i of x.
fn logit(i: u32) -> f32 { return vec4f(x[i / WIDTH])[i % WIDTH]; }

// q_c; `i` is the element of x, `label` the target's class.
fn mass(c: u32, i: u32, label: u32) -> f32 {
  var p = 0.0;
  if (SOFT) { p = bitcast<f32>(target_of[i]); } else { p = f32(c == label); }
  if (SMOOTHING) { p = p * (1.0 - params.smoothing) + params.smoothing / f32(params.cols); }
  return p * weight_of(c);
}

// Whether x is NaN: by the bits, for WGSL may assume that nothing is, and its exp and log may make anything of it.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

// e^v, of NaN NaN.
fn exp_of(v: Lanes) -> Lanes {
  return select(exp(v), v, (bitcast<Places>(v) & Places(0x7fffffffu)) > Places(0x7f800000u));
}

@compute @workgroup_size(ROWS_PER_GROUP)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * ROWS_PER_GROUP;
  if (row >= params.rows) { return; }
  let step = params.inner;
  let first = (row / step) * params.cols * step + row % step;

  var label = 0u;
  var divisor = 1.0;
  if (!SOFT) {
    label = target_of[row];
    if (bitcast<i32>(label) == params.ignore_index) {
      loss[row] = 0.0;
      stats[row] = vec4f();
      return;
    }
    if (label >= params.cols) { // no such class: an error that only the result can show
      loss[row] = bitcast<f32>(params.nan);
      stats[row] = vec4f(bitcast<f32>(params.nan));
      return;
    }
    divisor = weight_of(label);
  }

  var m = LOWEST;
  var sum = 0.0;
  let end = first + params.cols * step;
  let last = (end + WIDTH - 1u) / WIDTH;
  for (var i = first / WIDTH; i < last; ) { // in runs of 16, so that rounding grows with the root of a long row
    let stop = min(last, i + 16u * step);
    var run = 0.0;
    for (; i < stop; i += step) {
      let place = Places(WIDTH * i) + OFFSETS;
      let inside = (place >= Places(first)) & (place < Places(end));
      let v = select(Lanes(LOWEST), x[i], inside);
      let top = max(m, max_of(v));
      let shrink = exp(m - top);
      run = run * shrink + sum_of(select(Lanes(), exp_of(v - top), inside));
      sum *= shrink;
      m = top;
    }
    sum += run;
  }
  let log_sum = select(log(sum), sum, is_nan(sum));

  var distance = 0.0; // Σ q (m − x_c)
  var q = 0.0;
  if (SOFT || SMOOTHING) {
    for (var c = 0u; c < params.cols; ) {
      let stop = min(params.cols, c + 64u);
      var run = vec2f();
      for (; c < stop; c++) {
        let i = first + c * step;
        let q_c = mass(c, i, label);
        run += vec2f(q_c * (m - logit(i)), q_c);
      }
      distance += run.x;
      q += run.y;
    }
  } else {
    q = divisor;
    distance = q * (m - logit(first + label * step));
  }
  loss[row] = distance + q * log_sum;
  stats[row] = vec4f(m, log_sum, select(q, log_sum, is_nan(log_sum)), divisor); // NaN for backward, whatever its exp does
}
