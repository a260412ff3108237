// y = f(x) for each element of an f32 tensor; FN says which f.
//
// The built-in exp, log, tanh, sin and cos may be off by 2^-11 to 2^-21 in WGSL. Those here keep to a few units in the last
// place: reduce the argument to a short interval, then a series whose first left-out term is below 2^-25.
// Compilers may take NaN and infinity for absent, so these are recognized and made by their bits.
// Mapping: one invocation per four elements; buffers are padded, so the last four may reach beyond the tensor.
// Traffic: x is read once, y written once.
override FN: u32 = 0; // one of these
const NEG = 0u; const ABS = 1u; const SQUARE = 2u; const RECIPROCAL = 3u; const SQRT = 4u; const RSQRT = 5u; const EXP = 6u; const LOG = 7u;
const SIN = 8u; const COS = 9u; const TANH = 10u; const SIGMOID = 11u; const RELU = 12u; const GELU = 13u; const GELU_TANH = 14u;
const ERF = 15u; const SILU = 16u; const FLOOR = 17u; const CEIL = 18u; const ROUND = 19u; const SIGN = 20u; const CLAMP = 21u;

struct Params { vectors: u32, low: f32, high: f32 } // vectors: elements / 4, rounded up; low and high: of clamp

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [vectors]
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>; // [vectors]
@group(0) @binding(2) var<uniform> params: Params;

const INF = 0x7f800000u;
const NAN = 0x7fc00000u;

/// `v`, but the value with these bits where `condition` holds.
fn bits_where(v: vec4f, bits: u32, condition: vec4<bool>) -> vec4f {
  return bitcast<vec4f>(select(bitcast<vec4u>(v), vec4u(bits), condition));
}

/// e^v = 2^n e^r with n = round(v / ln 2), |r| <= ln 2 / 2; ln 2 in two parts, the first so short that n times it is exact.
fn exp_exact(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-104.5), vec4f(89.0)); // beyond, the result is 0 or infinity already
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u); // 2^n in two factors: one alone would leave the range of exponents
  let rest = vec4i(n) - half;
  return series * bitcast<vec4f>((half + 127) << vec4u(23u)) * bitcast<vec4f>((rest + 127) << vec4u(23u));
}

/// ln v = k ln 2 + 2 artanh(s) with v = 2^k m, m in [√½, √2), s = (m - 1) / (m + 1); artanh(s) = s + s³/3 + s⁵/5 + …
fn log_exact(v: vec4f) -> vec4f {
  let tiny = v < vec4f(1.17549435e-38); // subnormals have no exponent to read off
  let bits = bitcast<vec4u>(select(v, v * 8388608.0, tiny));
  let shifted = bits - 0x3f3504f3u; // the bits of √½: now the exponent counts from there
  let k = vec4f(bitcast<vec4i>(shifted) >> vec4u(23u)) - select(vec4f(), vec4f(23.0), tiny);
  let m = bitcast<vec4f>((shifted & vec4u(0x7fffffu)) + 0x3f3504f3u);
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let series = 2.0 * s + 2.0 * s * z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z / 9.0)));
  let result = k * 0.693359375 + (series - k * 2.12194440e-4);
  let positive = bits_where(result, INF, bitcast<vec4u>(v) == vec4u(INF));
  return bits_where(bits_where(positive, 0xff800000u, v == vec4f()), NAN, v < vec4f());
}

/// Below 0.55 Lambert's continued fraction x / (1 + x²/(3 + x²/(5 + x²/(7 + x²/9)))), beyond ±(1 - 2 / (e^2|x| + 1)).
fn tanh_exact(v: vec4f) -> vec4f {
  let z = v * v;
  let near = v * (945.0 + z * (105.0 + z)) / (945.0 + z * (420.0 + 15.0 * z));
  let far = 1.0 - 2.0 / (exp_exact(min(2.0 * abs(v), vec4f(40.0))) + 1.0);
  return select(far * sign(v), near, abs(v) < vec4f(0.55));
}

/// 1 / (1 + e^-v), with e^-|v| so that small results keep their precision.
fn sigmoid(v: vec4f) -> vec4f {
  let e = exp_exact(-abs(v));
  return select(vec4f(1.0), e, v < vec4f()) / (1.0 + e);
}

/// Φ(-a) e^(a²/2) for a >= 0, the upper tail of the normal distribution without its steep part: t P(t) with t = 1 / (1 + 0.21 a).
/// P is the polynomial of degree 8 with the least relative error (2e-8 up to a = 14.5, where Φ(-a) has left f32).
fn tail(a: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.21 * a);
  return t * (0.0837151533 + t * (0.0850124023 + t * (0.0695700138 + t * (0.123471068 + t * (-0.0907701266
    + t * (0.344982999 + t * (-0.326489973 + t * (0.281802932 - 0.0712944591 * t))))))));
}

/// Φ(v), the share of the normal distribution below v = 1/2 (1 + erf(v / √2)): from the tail, so exact far out too.
fn normal_share(v: vec4f) -> vec4f {
  let a = min(abs(v), vec4f(15.0));
  let beyond = tail(a) * exp_exact(-0.5 * a * a);
  return select(1.0 - beyond, beyond, v < vec4f());
}

/// Below 0.5 the power series 2/√π Σ (-1)^n x^(2n+1) / (n! (2n+1)), beyond ±(1 - 2 Φ(-√2 |x|)).
fn erf(v: vec4f) -> vec4f {
  let z = v * v;
  let near = 1.12837917 * v * (1.0 - z * (1.0 / 3.0 - z * (0.1 - z * (1.0 / 42.0 - z * (1.0 / 216.0 - z * (1.0 / 1320.0 - z / 9360.0))))));
  let far = 1.0 - 2.0 * normal_share(-1.41421356 * min(abs(v), vec4f(10.0)));
  return select(far * sign(v), near, abs(v) < vec4f(0.5));
}

/// x σ(2u) with u = √(2/π) (x + 0.044715 x³): the same as x/2 (1 + tanh u), without its cancellation.
fn gelu_tanh(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-20.0), vec4f(20.0)); // beyond, σ is 0 or 1, and x³ would overflow
  return v * sigmoid(1.59576912 * (c + 0.044715 * c * c * c));
}

/// 2/π in fixed point: 32 bits before the binary point, then 224.
const TWO_OVER_PI = array<u32, 8>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);

/// The high 32 bits of a · b.
fn high_product(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu; let ah = a >> 16u;
  let bl = b & 0xffffu; let bh = b >> 16u;
  let middle = ah * bl + ((al * bl) >> 16u);
  return ah * bh + (middle >> 16u) + ((al * bh + (middle & 0xffffu)) >> 16u);
}

/// Which quarter turn |v| lies next to (modulo 4), and how far beyond it in radians: v's 24 bits times those of 2/π that matter,
/// in whole numbers (Payne and Hanek). Bits of more weight than 2 only add whole turns.
fn reduce_large(v: f32) -> vec2f {
  let bits = bitcast<u32>(v) & 0x7fffffffu;
  let mantissa = (bits & 0x7fffffu) | 0x800000u; // |v| = mantissa 2^(exponent - 150)
  let start = (bits >> 23u) - 120u;              // the first bit in TWO_OVER_PI that matters
  var w: array<u32, 3>;                          // 96 bits from there
  for (var i = 0u; i < 3u; i++) {
    let at = start / 32u + i;
    let shift = start % 32u;
    w[i] = (TWO_OVER_PI[at] << shift) | select(0u, TWO_OVER_PI[at + 1u] >> (32u - shift), shift > 0u);
  }
  let middle = mantissa * w[1];
  var low = middle + high_product(mantissa, w[2]);
  var high = mantissa * w[0] + high_product(mantissa, w[1]) + select(0u, 1u, low < middle); // high, low: units of 2^-62 quarter turns
  let quadrant = ((high + 0x20000000u) >> 30u) & 3u;
  high -= quadrant << 30u;
  let negative = (high >> 31u) == 1u;
  if (negative) {
    low = ~low + 1u;
    high = ~high + select(0u, 1u, low == 0u);
  }
  let size = (f32(high) * 9.31322575e-10 + f32(low) * 2.16840434e-19) * 1.57079637;
  return vec2f(f32(quadrant), select(size, -size, negative));
}

/// sin(v + turn π/2): reduce to [-π/4, π/4], then the power series of sine or cosine.
fn sine(v: vec4f, turn: u32) -> vec4f {
  var n = round(abs(v) * 0.636619747);
  var r = ((abs(v) - n * 1.5703125) - n * 4.83751297e-4) - n * 7.54978995e-8; // π/2 in parts so short that n times them is exact
  let large = any(abs(v) > vec4f(200.0));
  for (var i = 0; large && i < 4; i++) {
    if (abs(v[i]) > 200.0) {
      let reduced = reduce_large(v[i]);
      n[i] = reduced.x;
      r[i] = reduced.y;
    }
  }
  // sin(-a) = sin(a + π), but cos(-a) = cos(a); by the sign's bit, so that sin(-0) is -0
  let half_turn = select(vec4u(), bitcast<vec4u>(v) >> vec4u(31u), turn == 0u) * 2u;
  let quadrant = vec4u(n) + turn + half_turn;
  let z = r * r;
  let odd = r - r * z * (1.0 / 6.0 - z * (1.0 / 120.0 - z * (1.0 / 5040.0 - z / 362880.0)));
  let even = 1.0 - z * (0.5 - z * (1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z / 3628800.0))));
  let wave = select(odd, even, (quadrant & vec4u(1u)) == vec4u(1u));
  let result = select(wave, -wave, (quadrant & vec4u(2u)) == vec4u(2u));
  return bits_where(result, NAN, (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) == vec4u(INF));
}

fn apply(v: vec4f) -> vec4f {
  switch FN {
    case NEG: { return -v; }
    case ABS: { return abs(v); }
    case SQUARE: { return v * v; }
    case RECIPROCAL: { return 1.0 / v; }
    case SQRT: { return sqrt(v); }
    case RSQRT: { return 1.0 / sqrt(v); }
    case EXP: { return exp_exact(v); }
    case LOG: { return log_exact(v); }
    case SIN: { return sine(v, 0u); }
    case COS: { return sine(v, 1u); }
    case TANH: { return tanh_exact(v); }
    case SIGMOID: { return sigmoid(v); }
    case RELU: { return select(v, vec4f(), v < vec4f()); }
    case GELU: { return v * normal_share(v); }
    case GELU_TANH: { return gelu_tanh(v); }
    case ERF: { return erf(v); }
    case SILU: { return v * sigmoid(v); }
    case FLOOR: { return floor(v); }
    case CEIL: { return ceil(v); }
    case ROUND: { return round(v); } // halves go to the even neighbour
    case SIGN: { return sign(v); }
    default: { return min(max(v, vec4f(params.low)), vec4f(params.high)); } // CLAMP, in this order: low > high gives high
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let v = x[i];
  let nan = (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(INF);
  y[i] = select(apply(v), v, nan);
}
