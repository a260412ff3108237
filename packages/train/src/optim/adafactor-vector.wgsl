// One step of Adafactor for a vector (biases, layer norms), in place, with every element's mean square v:
//
//   v ← β v + (1 − β) (g² + ε), 1 − β = t^decay_rate;  u = g / √v
//   p ← p − rate · weight_decay · p − rate · u / max(1, RMS(u) / clip_threshold);  rate as in adafactor-scale.wgsl
//
// With MOMENTUM it steps by the average m ← β₁ m + (1 − β₁) update instead.
// Mapping: one workgroup; each invocation has every 256th element, first for the sums, then for the step.
override SCALE: bool = true;
override RELATIVE: bool = true;
override WARMUP: bool = false;
override MOMENTUM: bool = false;

const LANES = 256u;

struct Params {
  size: u32,
  record: u32,     // where the clock counts this parameter's steps; 0: the host does, in t
  t: f32,          // steps, with this one
  decay_rate: f32, // below 0
  eps: f32,
  eps2: f32,
  lr: f32,
  clip_threshold: f32,
  weight_decay: f32,
  beta1: f32,
  one_minus_beta1: f32,
}

@group(0) @binding(0) var<storage, read_write> p: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>; // with MOMENTUM
@group(0) @binding(4) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<vec2f, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  let now = clock[0];
  let takes = now.y != 0.0;
  let t = select(params.t, clock[params.record].x, params.record > 0u);
  let gain = exp2(params.decay_rate * log2(t));
  var sum = vec2f();
  for (var i = lane; takes && i < params.size; i += LANES) {
    let x = g[i] * now.x;
    let square = (1.0 - gain) * v[i] + gain * (x * x + params.eps);
    v[i] = square;
    let u = x * inverseSqrt(square);
    sum += vec2f(u * u, p[i] * p[i]);
  }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half reads what the upper half has written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier(); // all read the total
  let rms = sqrt(sums[0] / f32(params.size));
  var rate = params.lr;
  if (RELATIVE) { rate *= min(select(1e-2, 1e-6 * t, WARMUP), 1.0 / sqrt(t)); }
  if (SCALE) { rate *= max(params.eps2, rms.y); }
  let factor = rate / max(1.0, rms.x / params.clip_threshold);
  for (var i = lane; takes && i < params.size; i += LANES) {
    var update = g[i] * now.x * inverseSqrt(v[i]) * factor;
    if (MOMENTUM) {
      update = params.beta1 * m[i] + params.one_minus_beta1 * update;
      m[i] = update;
    }
    p[i] = p[i] - rate * params.weight_decay * p[i] - update;
  }
}
