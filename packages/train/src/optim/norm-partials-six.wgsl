// norm-partials.cpu.wgsl for six gradients in one dispatch: with scale and partials that makes the eight buffers that WebGPU promises.
//
// For small gradients, which are a partial each, and on GPUs for all: a dispatch costs them as much as reading a million elements. (On a CPU large ones have
// a dispatch each: asking in every trip which of the six to read makes the loop 1.7 times slower.)
// Mapping: one workgroup per CHUNK vectors, those of the first gradient first. Traffic: each gradient is read once.
override NORM: u32 = 2; // 1: sums of |x|, 2: sums of x²; for 0, the infinity norm, the largest is enough

override CHUNK: u32 = 4096; // vectors per workgroup

const LANES = 64u;

struct Params {
  counts: array<vec4u, 2>, // elements of each gradient
  until: array<vec4u, 2>,  // partials up to its end
  first: u32,              // index of the first one's first partial
}

@group(0) @binding(0) var<storage, read> g0: array<vec4f>;
@group(0) @binding(1) var<storage, read> g1: array<vec4f>;
@group(0) @binding(2) var<storage, read> g2: array<vec4f>;
@group(0) @binding(3) var<storage, read> g3: array<vec4f>;
@group(0) @binding(4) var<storage, read> g4: array<vec4f>;
@group(0) @binding(5) var<storage, read> g5: array<vec4f>;
@group(0) @binding(6) var<storage, read> scale: array<f32>;            // [1]: what the loss was multiplied by
@group(0) @binding(7) var<storage, read_write> partials: array<vec2f>; // sum; bits of the largest
@group(0) @binding(8) var<uniform> params: Params;

fn load(j: u32, i: u32) -> vec4f {
  switch j {
    case 0u: { return g0[i]; }
    case 1u: { return g1[i]; }
    case 2u: { return g2[i]; }
    case 3u: { return g3[i]; }
    case 4u: { return g4[i]; }
    default: { return g5[i]; }
  }
}

var<workgroup> sums: array<f32, LANES>;
var<workgroup> largests: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let w = workgroup.x + workgroup.y * workgroups.x;
  var j = 0u;
  var begin = 0u; // partials before gradient j
  while (j < 6u && w >= params.until[j / 4u][j % 4u]) {
    begin = params.until[j / 4u][j % 4u];
    j++;
  }
  if (j == 6u) { return; } // the launch may be a few workgroups too many
  let count = params.counts[j / 4u][j % 4u];
  let k = w - begin;
  let end = min((count + 3u) / 4u, (k + 1u) * CHUNK);
  let inverse = 1.0 / scale[0];
  var sum = vec4f();
  var largest = vec4u();
  for (var i = k * CHUNK + lane; i < end; i += LANES) {
    let inside = 4u * i + vec4u(0u, 1u, 2u, 3u) < vec4u(count); // the last vector may reach beyond the gradient
    let value = select(vec4f(), load(j, i), inside);
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
  if (lane == 0u) { partials[params.first + w] = vec2f(sums[0], bitcast<f32>(largests[0])); }
}
