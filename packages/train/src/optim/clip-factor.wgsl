// The total norm from all partials, and what gradients are to be multiplied by: min(1, max_norm / (norm + 1e-6)) / scale.
//
// SKIP: where a gradient is infinite or NaN the step is to be left out, and `found` notes it, as PyTorch's GradScaler does. With 2, a step
// is also left out where the norm is infinite or NaN, and where `found` is 1 before: the update after a bad one.
// Mapping: one workgroup; each invocation merges every 256th partial, then they merge in pairs. The 1e-6 is PyTorch's.
override NORM: u32 = 2; // 0: largest, 1: sum, 2: root of the sum
override CLIP: bool = true; // false: no bound, the factor is 1 / scale
override SKIP: u32 = 0; // 0: never, 1, 2

const LANES = 256u;

struct Params { count: u32, max_norm: f32 }

@group(0) @binding(0) var<storage, read> partials: array<vec2f>;     // [count]: sum of |x|^NORM; bits of the largest |g|
@group(0) @binding(1) var<storage, read> scale: array<f32>;          // [1]
@group(0) @binding(2) var<storage, read_write> found: array<f32>;    // [1]: 1 once a gradient was infinite or NaN
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;     // [1]
@group(0) @binding(4) var<storage, read_write> factor: array<vec4f>; // [1]: factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<f32, LANES>;
var<workgroup> largests: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  var largest = 0u;
  for (var i = lane; i < params.count; i += LANES) {
    let partial = partials[i];
    sum += partial.x;
    largest = max(largest, bitcast<u32>(partial.y));
  }
  sums[lane] = sum;
  largests[lane] = largest;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half reads what the upper half has written
    if (lane < half) {
      sums[lane] += sums[lane + half];
      largests[lane] = max(largests[lane], largests[lane + half]);
    }
  }
  if (lane > 0u) { return; }
  let inverse = 1.0 / scale[0];
  var total = sums[0];
  if (NORM == 0u) { total = bitcast<f32>(largests[0]) * inverse; }
  if (NORM == 2u) { total = sqrt(total); }
  norm[0] = total;
  var clip = 1.0;
  if (CLIP) {
    // WGSL promises nothing for NaN and infinity: the cases are distinguished by their bits.
    let bits = bitcast<u32>(total) & 0x7fffffffu;
    if (bits > 0x7f800000u) { clip = total; }
    else if (bits == 0x7f800000u) { clip = 0.0; }
    else { clip = min(1.0, params.max_norm / (total + 1e-6)); }
  }
  var step = 1.0;
  if (SKIP > 0u) {
    var bad = largests[0] >= 0x7f800000u;
    if (SKIP == 2u) { bad = bad || (bitcast<u32>(total) & 0x7fffffffu) >= 0x7f800000u || found[0] != 0.0; }
    if (bad) {
      found[0] = 1.0;
      step = 0.0;
    }
  }
  factor[0] = vec4f(clip * inverse, step, 1.0, 1.0);
}
