// y = x with what falls on each place combined into it: y[…, v, …] = x ∘ src[i] ∘ … over all i of its line with index[i] = v.
//
// Each result looks through its line for what concerns it, so nobody waits for anybody, and the order is the same every time. A place
// that nothing falls on keeps x. Gradients do the same: for an element of x (OF_X), or of src, whose place is index[i].
// Of the product, the gradient of one is the product of the others; the largest (smallest) share theirs evenly.
// Mapping: one invocation per element of x or src. Traffic: index and src are read once for each of a line (from cache).
override FN: u32 = 0; // one of these
const SUM = 0u; const PROD = 1u; const MEAN = 2u; const AMAX = 3u; const AMIN = 4u;
override SELF: bool = true; // x takes part also where something falls
override GRADIENT: bool = false;
override OF_X: bool = true;

struct Params {
  sizes: array<vec4u, 2>, // of x (OF_X) or src, innermost dimension first
  reach: array<vec4u, 2>, // of the index
  x_strides: array<vec4u, 2>, // 0 along the dimension that the index replaces, here and below
  index_strides: array<vec4u, 2>,
  src_strides: array<vec4u, 2>,
  rank: u32,
  axis: u32, // that dimension, counted from the innermost one
  count: u32, // invocations
  m: u32, // places of a line of the index
  x_stride: u32, // along that dimension
  index_stride: u32,
  src_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read> src: array<f32>;
@group(0) @binding(3) var<storage, read> y: array<f32>;  // with GRADIENT
@group(0) @binding(4) var<storage, read> dy: array<f32>; // with GRADIENT
@group(0) @binding(5) var<storage, read_write> result: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

fn combined(a: f32, b: f32) -> f32 {
  switch FN {
    case PROD: { return a * b; }
    case AMAX, AMIN: { // NaN wins, recognized by its bits: compilers may take it for absent
      if ((bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u) { return a; }
      return select(select(min(a, b), max(a, b), FN == AMAX), b, (bitcast<u32>(b) & 0x7fffffffu) > 0x7f800000u);
    }
    default: { return a + b; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  var rest = i;
  var in_x = 0u;
  var in_index = 0u;
  var in_src = 0u;
  var own = 0u; // along the dimension that the index replaces
  var reached = true;
  for (var d = 0u; d < params.rank; d++) {
    let n = params.sizes[d / 4u][d % 4u];
    let k = rest % n;
    rest /= n;
    if (d == params.axis) { own = k; }
    reached &= (OF_X && d == params.axis) || k < params.reach[d / 4u][d % 4u];
    in_x += k * params.x_strides[d / 4u][d % 4u];
    in_index += k * params.index_strides[d / 4u][d % 4u];
    in_src += k * params.src_strides[d / 4u][d % 4u];
  }
  if (!reached && !OF_X) {
    result[i] = 0.0;
    return;
  }
  var place = own;
  if (!OF_X) { place = index[in_index + own * params.index_stride]; }
  let at = in_x + place * params.x_stride;

  var fallen = 0u;
  for (var k = 0u; k < params.m && reached; k++) { fallen += select(0u, 1u, index[in_index + k * params.index_stride] == place); }
  let takes_part = SELF || fallen == 0u; // x
  var others = select(0.0, 1.0, FN == PROD); // all but the one whose gradient this is
  var first = true;
  var equal = 0.0; // how many are the largest (smallest)
  if (takes_part && !(GRADIENT && OF_X)) {
    others = x[at];
    first = false;
  }
  if (GRADIENT && takes_part && x[at] == y[at]) { equal += 1.0; }
  for (var k = 0u; k < params.m && fallen > 0u; k++) {
    if (index[in_index + k * params.index_stride] != place) { continue; }
    let v = src[in_src + k * params.src_stride];
    if (GRADIENT && v == y[at]) { equal += 1.0; }
    if (GRADIENT && !OF_X && k == own) { continue; }
    others = select(combined(others, v), v, first);
    first = false;
  }
  let count = f32(fallen) + select(0.0, 1.0, takes_part);
  if (!GRADIENT) {
    result[i] = select(others, others / count, FN == MEAN);
    return;
  }
  var value = 0.0; // of the element itself
  if (OF_X) { value = x[at]; } else { value = src[in_src + own * params.src_stride]; }
  var slope = 1.0;
  switch FN {
    case PROD: { slope = others; }
    case MEAN: { slope = 1.0 / count; }
    case AMAX, AMIN: { slope = select(0.0, 1.0 / equal, value == y[at]); }
    default: {}
  }
  result[i] = select(0.0, dy[at] * slope, !OF_X || takes_part);
}
