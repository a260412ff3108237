// dx = dy f'(x) for each element. From s, which is x or y = f(x), whichever says f' more directly: see unary.ts.
//
// exp_exact and tail are those of unary.wgsl, where they are explained. Infinite derivatives (√ and ln at 0) come out infinite.
// Mapping: one invocation per four elements; buffers are padded. Traffic: s and dy are read once, dx written once.
override FN: u32 = 1; // one of these, numbered as in unary.wgsl
const ABS = 1u; const SQUARE = 2u; const RECIPROCAL = 3u; const SQRT = 4u; const RSQRT = 5u; const EXP = 6u; const LOG = 7u;
const TANH = 10u; const SIGMOID = 11u; const RELU = 12u; const GELU = 13u; const GELU_TANH = 14u; const ERF = 15u; const SILU = 16u;
const CLAMP = 21u;

struct Params { vectors: u32, low: f32, high: f32 } // vectors: elements / 4, rounded up; low and high: of clamp

@group(0) @binding(0) var<storage, read> s: array<vec4f>;        // [vectors]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;       // [vectors]
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // [vectors]
@group(0) @binding(3) var<uniform> params: Params;

fn exp_exact(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-104.5), vec4f(89.0)); // beyond, the result is 0 or infinity already
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u); // 2^n in two factors: one alone would leave the range of exponents
  let rest = vec4i(n) - half;
  return series * bitcast<vec4f>((half + 127) << vec4u(23u)) * bitcast<vec4f>((rest + 127) << vec4u(23u));
}

fn tail(a: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.21 * a);
  return t * (0.0837151533 + t * (0.0850124023 + t * (0.0695700138 + t * (0.123471068 + t * (-0.0907701266
    + t * (0.344982999 + t * (-0.326489973 + t * (0.281802932 - 0.0712944591 * t))))))));
}

/// (x Φ(x))' = Φ(x) + x φ(x), with φ(x) = e^(-x²/2) / √(2π): one exponential serves both.
fn gelu_derivative(x: vec4f) -> vec4f {
  let c = clamp(x, vec4f(-15.0), vec4f(15.0)); // beyond, it is 0 or 1
  let a = abs(c);
  let e = exp_exact(-0.5 * a * a);
  let beyond = tail(a) * e;
  return select(1.0 - beyond, beyond, c < vec4f()) + c * e * 0.398942280;
}

/// (x σ(w))' = σ + x σ (1 - σ) w', where σ (1 - σ) = e / (1 + e)² with e = e^-|w|.
fn gated_derivative(x: vec4f, w: vec4f, dw: vec4f) -> vec4f {
  let e = exp_exact(-abs(w));
  let share = 1.0 / (1.0 + e);
  return share * (select(vec4f(1.0), e, w < vec4f()) + x * e * share * dw);
}

fn derivative(v: vec4f) -> vec4f {
  switch FN {
    case ABS: { return sign(v); }             // from x
    case SQUARE: { return 2.0 * v; }          // from x
    case RECIPROCAL: { return -v * v; }       // from y
    case SQRT: { return 0.5 / v; }            // from y
    case RSQRT: { return -0.5 * v * v * v; }  // from y
    case EXP: { return v; }                   // from y
    case LOG: { return 1.0 / v; }             // from x
    case TANH: { return 1.0 - v * v; }        // from y
    case SIGMOID: { return v * (1.0 - v); }   // from y
    case RELU: { return select(vec4f(1.0), vec4f(), (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) == vec4u()); } // from y ≥ 0: 0 at 0, 1 at NaN
    case GELU: { return gelu_derivative(v); } // from x
    case GELU_TANH: { // from x: w = 2 √(2/π) (x + 0.044715 x³)
      let c = clamp(v, vec4f(-20.0), vec4f(20.0));
      return gated_derivative(c, 1.59576912 * (c + 0.044715 * c * c * c), 1.59576912 * (1.0 + 0.134145 * c * c));
    }
    case ERF: { return 1.12837917 * exp_exact(-min(v * v, vec4f(200.0))); } // from x
    case SILU: { return gated_derivative(v, v, vec4f(1.0)); } // from x
    default: { return select(vec4f(), vec4f(1.0), (v > vec4f(params.low)) & (v < vec4f(params.high))); } // CLAMP, from x: 0 at a bound
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let v = s[i];
  let straight = FN == ABS || FN == RELU || FN == CLAMP; // they have a slope at NaN too
  let nan = (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  dx[i] = dy[i] * select(derivative(v), v, nan & vec4<bool>(!straight));
}
