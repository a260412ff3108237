// y = random numbers from Philox4x32-10: block i makes elements 4i to 4i + 3. random.ts has the same generator for the host.
//
// KIND 0: the words; 1: uniform, low + u (high − low); 2: normal by Box–Muller, mean + std √(−2 ln u₁) (cos, sin)(2π u₂);
// 3: whole numbers, low + ⌊word · range / 2³²⌋; 4: 1 where u < low, else 0 (Bernoulli), as f32 or bool.
// log, sin and cos are polynomials here: WGSL's own promise only an absolute error, and differ from device to device.
// Mapping: one invocation per block; buffers are padded beyond the last element. Traffic: y written once.
override KIND: u32 = 1;

struct Params {
  key: vec2u,
  counter: vec4u, // of the first block: 128 bits, word 0 lowest
  vectors: u32,   // groups of four elements
  range: u32,
  one: u32,       // the bits of "true" in KIND 4
  low: f32,
  high: f32,
  first: i32,     // lowest of KIND 3
}

@group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(1) var<uniform> params: Params;

// Upper words of products of 32-bit numbers, from their halves.
fn mul_high(a: vec4u, b: vec4u) -> vec4u {
  let al = a & vec4u(0xffffu);
  let ah = a >> vec4u(16u);
  let bl = b & vec4u(0xffffu);
  let bh = b >> vec4u(16u);
  let middle = ah * bl + ((al * bl) >> vec4u(16u));
  let other = al * bh + (middle & vec4u(0xffffu));
  return ah * bh + (middle >> vec4u(16u)) + (other >> vec4u(16u));
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  let multipliers = vec2u(0xd2511f53u, 0xcd9e8d57u);
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high = mul_high(multipliers.xyxy, c.xzxz).xy;
    let low = multipliers * c.xz;
    c = vec4u(high.y ^ c.y ^ k.x, low.y, high.x ^ c.w ^ k.y, low.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

fn block(i: u32) -> vec4u {
  var c = params.counter;
  c.x += i;
  if (c.x < i) { c.y++; if (c.y == 0u) { c.z++; if (c.z == 0u) { c.w++; } } } // carry
  return philox(c, params.key);
}

// ln u for u in (0, 1]: u = m 2^e with m around 1, and ln m = 2 artanh(s), s = (m − 1) / (m + 1), |s| < 0.172.
fn ln(u: vec2f) -> vec2f {
  let bits = bitcast<vec2u>(u);
  let e = bitcast<vec2i>(bits - vec2u(0x3f3504f3u)) >> vec2u(23u); // from √½ on, so that m lies in [√½, √2)
  let m = bitcast<vec2f>(bits - (bitcast<vec2u>(e) << vec2u(23u)));
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let series = 2.0 + z * (0.666666667 + z * (0.4 + z * (0.285714286 + z * 0.222222222)));
  return vec2f(e) * 0.693147181 + s * series;
}

// (cos, sin)(2π u) for u in [0, 1): a quarter turn is taken off exactly, the rest is at most an eighth of a turn.
fn circle(u: f32) -> vec2f {
  let quarter = floor(4.0 * u + 0.5);
  let a = (u - 0.25 * quarter) * 6.28318531;
  let z = a * a;
  let sine = a * (1.0 + z * (-0.166666667 + z * (0.00833333333 + z * (-0.000198412698 + z * 0.00000275573192))));
  let cosine = 1.0 + z * (-0.5 + z * (0.0416666667 + z * (-0.00138888889 + z * (0.0000248015873 - z * 0.000000275573192))));
  switch u32(quarter) % 4u {
    case 0u: { return vec2f(cosine, sine); }
    case 1u: { return vec2f(-sine, cosine); }
    case 2u: { return vec2f(-cosine, -sine); }
    default: { return vec2f(sine, -cosine); }
  }
}

fn element(words: vec4u) -> vec4u {
  let u = vec4f(words >> vec4u(8u)) * 0x1p-24; // [0, 1 − 2^-24]
  switch KIND {
    case 0u: { return words; }
    case 1u: { return bitcast<vec4u>(params.low + u * (params.high - params.low)); }
    case 2u: {
      let radius = sqrt(-2.0 * ln((vec2f(words.xz) + 1.0) * 0x1p-32)); // all 32 bits, for the tail; (0, 1]
      let pairs = vec4f(radius.x * circle(u.y), radius.y * circle(u.w));
      return bitcast<vec4u>(params.low + params.high * pairs);
    }
    case 3u: { return bitcast<vec4u>(vec4i(params.first)) + mul_high(words, vec4u(params.range)); }
    default: { return select(vec4u(0u), vec4u(params.one), u < vec4f(params.low)); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  y[i] = element(block(i));
}
