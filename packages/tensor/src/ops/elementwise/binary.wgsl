// y = f(a, b) element by element, with broadcasting; FN says which f.
//
// Each operand is laid out as A or B says: like y; one element; a number in params; or broadcast, where a walk through dimensions
// finds a vector of four elements (or one for all four), or, where neighbours don't stay together, each element.
// Mapping: one invocation per four elements of y; buffers are padded, so the last four may reach beyond the tensor.
// Traffic: a and b are read once (more often where they are broadcast), y written once.
alias T = f32;        // f32, i32 or u32
alias AT = vec4<f32>; // what is read of a at once: vec4<T> or T
alias BT = vec4<f32>; // and of b
override FN: u32 = 0; // one of these
const ADD = 0u; const SUB = 1u; const MUL = 2u; const DIV = 3u; const POW = 4u; const MAXIMUM = 5u; const MINIMUM = 6u; const EQ = 7u;
const NE = 8u; const LT = 9u; const LE = 10u; const GT = 11u; const GE = 12u; const LOGICAL_AND = 13u; const LOGICAL_OR = 14u;
const SHARE_OF_MAX = 15u; const REMAINDER = 16u; const FMOD = 17u;
override FLOAT: bool = true; // T is f32
override A: u32 = 0;  // 0 like y, 1 one element, 2 number, 3 broadcast by fours, 4 broadcast
override B: u32 = 0;
override A_RANK: u32 = 1; // dimensions to walk through
override B_RANK: u32 = 1;

struct Params {
  vectors: u32, // elements of y / 4, rounded up
  a_bits: u32,  // the numbers
  b_bits: u32,
  a_sizes: array<vec4u, 2>, // of y, dimensions joined where a is walked through in one stride
  a_strides: array<vec4u, 2>, // 0 where a is broadcast
  b_sizes: array<vec4u, 2>,
  b_strides: array<vec4u, 2>,
}

@group(0) @binding(0) var<storage, read> a: array<AT>;
@group(0) @binding(1) var<storage, read> b: array<BT>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>; // [vectors]: the bits of T, or 0 and 1
@group(0) @binding(3) var<uniform> params: Params;

const INF = 0x7f800000u;
const NAN = 0x7fc00000u;

fn is_nan(bits: vec4u) -> vec4<bool> { return (bits & vec4u(0x7fffffffu)) > vec4u(INF); }

fn bits_where(v: vec4f, bits: vec4u, condition: vec4<bool>) -> vec4f {
  return bitcast<vec4f>(select(bitcast<vec4u>(v), bits, condition));
}

/// The upper twelve bits of v's significand: the product of two such is exact.
fn upper(v: vec4f) -> vec4f { return bitcast<vec4f>(bitcast<vec4u>(v) & vec4u(0xfffff000u)); }

/// |v|^p = 2^(p log2 |v|) for finite v ≠ 0. The logarithm needs eight bits more than an f32 has, since p may be large: it is kept
/// in two parts. log2 m = 2/ln 2 artanh(s), s = (m - 1) / (m + 1), and artanh(s) = s + s³/3 + s⁵/5 + …
fn power_finite(v: vec4f, p: vec4f) -> vec4f {
  let tiny = abs(v) < vec4f(1.17549435e-38);
  let shifted = (bitcast<vec4u>(select(v, v * 8388608.0, tiny)) & vec4u(0x7fffffffu)) - 0x3f3504f3u;
  let k = vec4f(bitcast<vec4i>(shifted) >> vec4u(23u)) - select(vec4f(), vec4f(23.0), tiny);
  let m = bitcast<vec4f>((shifted & vec4u(0x7fffffu)) + 0x3f3504f3u); // |v| = 2^k m, m in [√½, √2)
  let d = m + 1.0;
  let d1 = upper(d);
  let d2 = m - (d1 - 1.0);
  let s = (m - 1.0) / d;
  let s1 = upper(s);
  let s2 = (((m - 1.0) - s1 * d1) - s1 * d2) / d; // s = s1 + s2
  let z = s * s;
  let rest = s2 + s * z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z / 11.0))));
  let l1 = s1 * 2.884765625; // 2/ln 2 in two parts
  let l2 = s1 * 6.24456778e-4 + rest * 2.88539008;
  let h = upper(k + l1 + l2);
  let l = ((k - h) + l1) + l2; // log2 |v| = h + l
  let p1 = upper(p);
  let p2 = p - p1;
  let whole = p1 * h;
  let part = p1 * l + p2 * h + p2 * l;
  let n = round(clamp(whole + part, vec4f(-160.0), vec4f(140.0)));
  let r = clamp((whole - n) + part, vec4f(-0.51), vec4f(0.51)) * 0.693147181;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u);
  let two_n = bitcast<vec4f>((half + 127) << vec4u(23u));
  return series * two_n * bitcast<vec4f>((vec4i(n) - half + 127) << vec4u(23u));
}

/// v^p with C's rules: 0^0 = 1, NaN^0 = 1, 1^NaN = 1; a negative v takes whole exponents only.
fn power(v: vec4f, p: vec4f) -> vec4f {
  let v_bits = bitcast<vec4u>(v);
  let p_bits = bitcast<vec4u>(p);
  let v_size = v_bits & vec4u(0x7fffffffu);
  let p_size = p_bits & vec4u(0x7fffffffu);
  let negative = v_bits != v_size;
  let even = p_size >= vec4u(0x4b800000u); // from 2^24 on all numbers are even
  let odd = !even & (p == floor(p)) & ((vec4i(clamp(p, vec4f(-2e7), vec4f(2e7))) & vec4i(1)) == vec4i(1));
  var bits = bitcast<vec4u>(power_finite(v, p));
  // where the size is 0 or infinite: to the power of p > 0 it stays, to the power of p < 0 it turns over
  let grows = (v_size > vec4u(0x3f800000u)) == (p_bits == p_size);
  let extreme = (v_size == vec4u()) | (v_size == vec4u(INF)) | (p_size == vec4u(INF));
  bits = select(bits, select(vec4u(), vec4u(INF), grows), extreme);
  bits = select(bits, bits | vec4u(0x80000000u), negative & odd);
  bits = select(bits, vec4u(NAN), negative & (v_size != vec4u()) & (v_size != vec4u(INF)) & !even & (p != floor(p)));
  bits = select(bits, vec4u(NAN), is_nan(v_bits) | is_nan(p_bits));
  let one = (p_size == vec4u()) | (v_bits == vec4u(0x3f800000u)) | ((v_size == vec4u(0x3f800000u)) & (p_size == vec4u(INF)));
  return bitcast<vec4f>(select(bits, vec4u(0x3f800000u), one));
}

/// Where a NaN is compared: nothing is equal to it, larger or smaller. Compilers may take `==` and `!=` as they like there.
fn unordered(v: vec4<T>, w: vec4<T>) -> vec4<bool> {
  return vec4<bool>(FLOAT) & (is_nan(bitcast<vec4u>(v)) | is_nan(bitcast<vec4u>(w)));
}

/// Where v is true: not 0, nor −0.
fn nonzero(v: vec4<T>) -> vec4<bool> {
  return (bitcast<vec4u>(v) & select(vec4u(0xffffffffu), vec4u(0x7fffffffu), FLOAT)) != vec4u();
}

/// v − w trunc(v / w), of v's sign. A quotient that was rounded up to a whole number, or down below one, is put right afterwards.
fn modulo(v: vec4f, w: vec4f) -> vec4f {
  let size = abs(w);
  let r = fma(-trunc(abs(v) / size), size, abs(v));
  let within = select(select(r, r + size, r < vec4f()), r - size, r >= size);
  let finite = (bitcast<vec4u>(w) & vec4u(0x7fffffffu)) < vec4u(INF);
  let known = select(abs(v), within, finite);
  let undefined = (w == vec4f()) | ((bitcast<vec4u>(v) & vec4u(0x7fffffffu)) >= vec4u(INF)) | is_nan(bitcast<vec4u>(w));
  return bits_where(select(known, -known, v < vec4f()), vec4u(NAN), undefined);
}

fn apply(v: vec4<T>, w: vec4<T>) -> vec4u {
  switch FN {
    case ADD: { return bitcast<vec4u>(v + w); }
    case SUB: { return bitcast<vec4u>(v - w); }
    case MUL: { return bitcast<vec4u>(v * w); }
    case DIV: { return bitcast<vec4u>(v / w); }
    case POW: { return bitcast<vec4u>(power(vec4f(v), vec4f(w))); }
    case MAXIMUM, MINIMUM: { // -1 in bits is a NaN, but not for whole numbers
      let best = bitcast<vec4u>(select(w, v, select(v <= w, v >= w, FN == MAXIMUM)));
      if (FLOAT) {
        let v_bits = bitcast<vec4u>(v);
        return select(select(best, bitcast<vec4u>(w), is_nan(bitcast<vec4u>(w))), v_bits, is_nan(v_bits));
      }
      return best;
    }
    case EQ: { return vec4u((v == w) & !unordered(v, w)); }
    case NE: { return vec4u((v != w) | unordered(v, w)); }
    case LT: { return vec4u((v < w) & !unordered(v, w)); }
    case LE: { return vec4u((v <= w) & !unordered(v, w)); }
    case GT: { return vec4u((v > w) & !unordered(v, w)); }
    case GE: { return vec4u((v >= w) & !unordered(v, w)); }
    case LOGICAL_AND: { return vec4u(nonzero(v) & nonzero(w)); }
    case LOGICAL_OR: { return vec4u(nonzero(v) | nonzero(w)); }
    case REMAINDER, FMOD: { // a remainder has w's sign
      if (FLOAT) {
        let r = modulo(vec4f(v), vec4f(w));
        let other = (r != vec4f()) & ((r < vec4f()) != (vec4f(w) < vec4f())) & vec4<bool>(FN == REMAINDER);
        return bitcast<vec4u>(select(r, r + vec4f(w), other));
      }
      let r = select(v % w, vec4<T>(), w == vec4<T>());
      return bitcast<vec4u>(select(r, r + w, (r != vec4<T>()) & ((r < vec4<T>()) != (w < vec4<T>())) & vec4<bool>(FN == REMAINDER)));
    }
    default: { // SHARE_OF_MAX: v's share of the gradient of max(v, w); where one is NaN, both get all of it
      return bitcast<vec4u>(select(select(vec4f(), vec4f(0.5), v == w), vec4f(1.0), (v > w) | unordered(v, w)));
    }
  }
}

/// Where the fours that are vector i of y are found in an operand; its last dimension is counted in fours.
fn walk(i: u32, rank: u32, sizes: array<vec4u, 2>, strides: array<vec4u, 2>) -> u32 {
  var rest = i;
  var at = 0u;
  for (var d = rank - 1u; d > 0u; d--) {
    let size = sizes[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * strides[d / 4u][d % 4u];
    rest = next;
  }
  return at + rest * strides[0].x;
}

/// Where each of the four elements is found. Divisions are dear, so the last dimension takes one, and three comparisons for the
/// neighbours: how often they step over its end.
fn walk_each(i: u32, rank: u32, sizes: array<vec4u, 2>, strides: array<vec4u, 2>) -> vec4u {
  let last = rank - 1u;
  let size = sizes[last / 4u][last % 4u];
  let first = 4u * i / size;
  let column = 4u * i - first * size + vec4u(0u, 1u, 2u, 3u);
  let over = vec4u(column >= vec4u(size)) + vec4u(column >= vec4u(2u * size)) + vec4u(column >= vec4u(3u * size));
  var rest = first + over;
  var at = (column - over * size) * strides[last / 4u][last % 4u];
  for (var d = last - 1u; d > 0u; d--) {
    let size = sizes[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * strides[d / 4u][d % 4u];
    rest = next;
  }
  return at + rest * strides[0].x;
}

fn operand_a(i: u32) -> vec4<T> {
  switch A {
    case 0u: { return vec4<T>(a[i]); }
    case 1u: { return vec4<T>(vec4<T>(a[0]).x); }
    case 2u: { return vec4<T>(bitcast<T>(params.a_bits)); }
    case 3u: { return vec4<T>(a[walk(i, A_RANK, params.a_sizes, params.a_strides)]); }
    default: {
      let at = walk_each(i, A_RANK, params.a_sizes, params.a_strides);
      return vec4<T>(vec4<T>(a[at.x]).x, vec4<T>(a[at.y]).x, vec4<T>(a[at.z]).x, vec4<T>(a[at.w]).x);
    }
  }
}

fn operand_b(i: u32) -> vec4<T> {
  switch B {
    case 0u: { return vec4<T>(b[i]); }
    case 1u: { return vec4<T>(vec4<T>(b[0]).x); }
    case 2u: { return vec4<T>(bitcast<T>(params.b_bits)); }
    case 3u: { return vec4<T>(b[walk(i, B_RANK, params.b_sizes, params.b_strides)]); }
    default: {
      let at = walk_each(i, B_RANK, params.b_sizes, params.b_strides);
      return vec4<T>(vec4<T>(b[at.x]).x, vec4<T>(b[at.y]).x, vec4<T>(b[at.z]).x, vec4<T>(b[at.w]).x);
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  y[i] = apply(operand_a(i), operand_b(i));
}
