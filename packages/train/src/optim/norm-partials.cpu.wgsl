// Partial norms of one gradient, on CPU adapters: of each 8,192 elements the sum of |x|^NORM, where x = g / scale, and the largest |g|. The partials of
// all gradients lie side by side; `clip-factor.wgsl` merges them.
//
// Largest by the bits of |g|: for positive floats the order of the bits is the order of the values, infinity lies above all
// numbers and NaN above infinity, so both get through, which WGSL's max() doesn't promise.
// Mapping: one workgroup per 8,192 elements; its lanes read 16 bytes each, side by side. Traffic: g is read once.
override NORM: u32 = 2; // 1: sums of |x|, 2: sums of x²; for 0, the infinity norm, the largest is enough

const LANES = 64u;
const CHUNK = 2048u; // vectors per workgroup

struct Params { count: u32, first: u32 } // elements; index of this gradient's first partial

@group(0) @binding(0) var<storage, read> g: array<vec4f>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;            // [1]: what the loss was multiplied by
@group(0) @binding(2) var<storage, read_write> partials: array<vec2f>; // sum; bits of the largest
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, LANES>;
var<workgroup> largests: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let k = workgroup.x;
  let end = min((params.count + 3u) / 4u, (k + 1u) * CHUNK);
  let inverse = 1.0 / scale[0];
  var sum = vec4f();
  var largest = vec4u();
  for (var i = k * CHUNK + lane; i < end; i += LANES) {
    let inside = 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count); // the last vector may reach beyond the gradient
    let value = select(vec4f(), g[i], inside);
    let x = value * inverse;
    sum += select(x * x, abs(x), NORM == 1u);
    largest = max(largest, bitcast<vec4u>(value) & vec4u(0x7fffffffu));
  }
  sums[lane] = (sum.x + sum.y) + (sum.z + sum.w);
  largests[lane] = max(max(largest.x, largest.y), max(largest.z, largest.w));
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the lower half reads what the upper half has written
    if (lane < half) {
      sums[lane] += sums[lane + half];
      largests[lane] = max(largests[lane], largests[lane + half]);
    }
  }
  if (lane == 0u) { partials[params.first + k] = vec2f(sums[0], bitcast<f32>(largests[0])); }
}
