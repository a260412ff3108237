// The two numbers of an Adafactor step that hold for a whole matrix: what the update is multiplied by, and what p shrinks by.
//
//   rate = lr, or (RELATIVE) lr · min(10⁻², 1/√t), with WARMUP lr · min(10⁻⁶ t, 1/√t);  (SCALE) times max(ε₂, RMS(p))
//   factor = rate · √mean(r) / max(1, RMS(u) / clip_threshold);  decay = rate · weight_decay
//
// Mapping: one workgroup; each invocation adds up every 256th row, then they merge in pairs.
override SCALE: bool = true;
override RELATIVE: bool = true;
override WARMUP: bool = false;

const LANES = 256u;

struct Params {
  rows: u32,
  cols: u32,
  record: u32, // where the clock counts this parameter's steps; 0: the host does, in t
  t: f32,
  lr: f32,
  eps2: f32,
  clip_threshold: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<storage, read> r: array<f32>;              // [R]
@group(0) @binding(1) var<storage, read> squares: array<vec2f>;      // [R], from adafactor-squares.wgsl
@group(0) @binding(2) var<storage, read_write> scale: array<vec2f>;  // [1]: factor, decay
@group(0) @binding(3) var<storage, read> clock: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<vec3f, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec3f();
  for (var i = lane; i < params.rows; i += LANES) { sum += vec3f(r[i], squares[i]); }
  sums[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half reads what the upper half has written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane > 0u) { return; }
  let size = f32(params.rows) * f32(params.cols);
  let mean = sums[0].x / f32(params.rows);
  let update_rms = sqrt(mean) * sqrt(sums[0].y / size);
  let t = select(params.t, clock[params.record].x, params.record > 0u);
  var rate = params.lr;
  if (RELATIVE) { rate *= min(select(1e-2, 1e-6 * t, WARMUP), 1.0 / sqrt(t)); }
  if (SCALE) { rate *= max(params.eps2, sqrt(sums[0].z / size)); }
  scale[0] = vec2f(rate * sqrt(mean) / max(1.0, update_rms / params.clip_threshold), rate * params.weight_decay);
}
