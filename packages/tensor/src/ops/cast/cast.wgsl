// y = x in another element type, sixteen-bit types included, which lie two in a word.
//
// Mapping: one invocation makes four 32-bit words of y: four elements, or eight of sixteen bits; buffers are padded. Traffic: x and y once.
// Float to half rounds to nearest, ties to even, in integer arithmetic: WGSL's own pack2x16float doesn't promise the rounding,
// and leaves overflow open. Float to integer truncates; to bool, everything but 0 is true.
override FROM: u32 = 0; // 0 f32, 1 f16, 2 bf16, 3 i32, 4 u32, 5 bool
override TO: u32 = 0;

struct Params { vectors: u32 } // 32-bit words of y / 4, rounded up

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(2) var<uniform> params: Params;

fn half_to_float(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let fraction = h & 0x3ffu;
  if (exponent == 31u) { return sign | 0x7f800000u | (fraction << 13u); }
  if (exponent > 0u) { return sign | ((exponent + 112u) << 23u) | (fraction << 13u); }
  if (fraction == 0u) { return sign; }
  let top = 31u - countLeadingZeros(fraction); // subnormal: 2^-24 · fraction, normalized around its highest bit
  return sign | ((top + 103u) << 23u) | ((fraction << (23u - top)) & 0x7fffffu);
}

fn float_to_half(f: u32) -> u32 {
  let sign = (f >> 16u) & 0x8000u;
  let magnitude = f & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return sign | 0x7e00u; }  // NaN
  if (magnitude >= 0x477ff000u) { return sign | 0x7c00u; } // 65520 and more: infinity
  if (magnitude >= 0x38800000u) {
    return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u); // exponent bias 127 → 15
  }
  if (magnitude < 0x33000000u) { return sign; } // at most half of 2^-24, and a tie goes to 0
  let shift = 126u - (magnitude >> 23u); // subnormal: the mantissa in units of 2^-24
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  let whole = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let tie = 1u << (shift - 1u);
  return sign | (whole + select(0u, 1u, rest > tie || (rest == tie && (whole & 1u) == 1u)));
}

fn float_to_bfloat(f: u32) -> u32 {
  if ((f & 0x7fffffffu) > 0x7f800000u) { return (f >> 16u) | 0x40u; } // NaN
  return (f + 0x7fffu + ((f >> 16u) & 1u)) >> 16u;
}

// An element of x as the bits of an f32, unless both types are whole numbers: then as it is.
fn widened(bits: u32) -> u32 {
  switch FROM {
    case 1u: { return half_to_float(bits); }
    case 2u: { return bits << 16u; }
    case 3u: { return select(bitcast<u32>(f32(bitcast<i32>(bits))), bits, TO >= 3u); }
    case 4u, 5u: { return select(bitcast<u32>(f32(bits)), bits, TO >= 3u); }
    default: { return bits; }
  }
}

fn convert(bits: u32) -> u32 {
  switch TO {
    case 1u: { return float_to_half(bits); }
    case 2u: { return float_to_bfloat(bits); }
    case 3u: { return select(bitcast<u32>(i32(bitcast<f32>(bits))), bits, FROM >= 3u); }
    case 4u: { return select(u32(bitcast<f32>(bits)), bits, FROM >= 3u); }
    case 5u: { return select(0u, 1u, select(bits & 0x7fffffffu, bits, FROM >= 3u) != 0u); }
    default: { return bits; }
  }
}

// Elements 4 i … 4 i + 3, converted.
fn four(i: u32) -> vec4u {
  var bits: vec4u;
  if (FROM == 1u || FROM == 2u) {
    let eight = x[i / 2u];
    let words = select(eight.xy, eight.zw, i % 2u == 1u);
    bits = vec4u(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u);
  } else {
    bits = x[i];
  }
  return vec4u(convert(widened(bits.x)), convert(widened(bits.y)), convert(widened(bits.z)), convert(widened(bits.w)));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  if (TO == 1u || TO == 2u) {
    let first = four(2u * i);
    let second = four(2u * i + 1u);
    y[i] = vec4u(first.xz, second.xz) | (vec4u(first.yw, second.yw) << vec4u(16u));
  } else {
    y[i] = four(i);
  }
}
