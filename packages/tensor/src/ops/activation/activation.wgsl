// y = f(x) for each element; with DERIVATIVE y = dy f'(x). FN says which f; a, b and c are its constants, as activation.ts says.
//
// ln(1 + v) and e^v − 1 are computed without the sum that would lose a small v. exp_exact and log_exact are those of
// elementwise/unary.wgsl, where they are explained. NaN is recognized by its bits: compilers may take it for absent.
// Mapping: one invocation per four elements; buffers are padded. Traffic: x is read once (and dy), y written once.
override FN: u32 = 0; // one of these
const SOFTPLUS = 0u; const LOGSIGMOID = 1u; const LEAKY_RELU = 2u; const ELU = 3u; const MISH = 4u; const HARDSWISH = 5u;
const HARDSIGMOID = 6u; const LOG1P = 7u; const EXPM1 = 8u; const LOG_ADD = 9u;
override DERIVATIVE: bool = false;

struct Params { vectors: u32, a: f32, b: f32, c: f32 } // vectors: elements / 4, rounded up

@group(0) @binding(0) var<storage, read> x: array<vec4f>;       // [vectors]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;      // [vectors], read with DERIVATIVE
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [vectors]
@group(0) @binding(3) var<uniform> params: Params;

const INF = 0x7f800000u;
const NAN = 0x7fc00000u;

fn bits_where(v: vec4f, bits: u32, condition: vec4<bool>) -> vec4f {
  return bitcast<vec4f>(select(bitcast<vec4u>(v), vec4u(bits), condition));
}

fn exp_exact(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-104.5), vec4f(89.0)); // beyond, the result is 0 or infinity already
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u); // 2^n in two factors: one alone would leave the range of exponents
  let rest = vec4i(n) - half;
  return series * bitcast<vec4f>((half + 127) << vec4u(23u)) * bitcast<vec4f>((rest + 127) << vec4u(23u));
}

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

/// ln(1 + v) = 2 artanh(s), s = v / (2 + v), for small v; else 1 + v loses nothing that matters.
fn log1p(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-0.3), vec4f(0.42));
  let s = c / (2.0 + c);
  let z = s * s;
  let near = 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z / 11.0)))));
  return select(log_exact(1.0 + v), near, c == v);
}

/// e^v − 1 = 2^n (e^r − 1) + (2^n − 1), with the series of e^r − 1 and the r of exp_exact; from 20 on the 1 does not matter.
fn expm1(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-30.0), vec4f(20.0));
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let power = bitcast<vec4f>((vec4i(n) + 127) << vec4u(23u));
  return select(series * power + (power - 1.0), exp_exact(v), v > vec4f(20.0));
}

fn sigmoid(v: vec4f) -> vec4f {
  let e = exp_exact(-abs(v));
  return select(vec4f(1.0), e, v < vec4f()) / (1.0 + e);
}

fn value(v: vec4f) -> vec4f {
  switch FN {
    case SOFTPLUS: { // a: beta, b: threshold
      let z = params.a * v;
      return select((max(z, vec4f()) + log1p(exp_exact(-abs(z)))) / params.a, v, z > vec4f(params.b));
    }
    case LOGSIGMOID: { return min(v, vec4f()) - log1p(exp_exact(-abs(v))); }
    case LEAKY_RELU: { return select(params.a * v, v, v > vec4f()); } // a: slope below 0
    case ELU: { return select(params.b * expm1(params.c * v), params.a * v, v > vec4f()); } // a v above 0, b (e^(c v) − 1) below
    case MISH: { // tanh(ln(1 + e)) = n / (n + 2), n = e (e + 2)
      let e = exp_exact(min(v, vec4f(20.0)));
      let n = e * (e + 2.0);
      return v * (n / (n + 2.0));
    }
    case HARDSWISH: { return v * (clamp(v + 3.0, vec4f(), vec4f(6.0)) / 6.0); }
    case HARDSIGMOID: { return clamp(v + 3.0, vec4f(), vec4f(6.0)) / 6.0; }
    case LOG1P: { return log1p(v); }
    case EXPM1: { return expm1(v); }
    default: { return log1p(exp_exact(-abs(v))); } // LOG_ADD: what ln(e^a + e^b) exceeds the larger one by, v = a − b
  }
}

fn derivative(v: vec4f) -> vec4f {
  switch FN {
    case SOFTPLUS: { return select(sigmoid(params.a * v), vec4f(1.0), params.a * v > vec4f(params.b)); }
    case LOGSIGMOID: { return sigmoid(-v); }
    case LEAKY_RELU: { return select(vec4f(params.a), vec4f(1.0), v > vec4f()); }
    case ELU: { return select(params.b * params.c * exp_exact(params.c * v), vec4f(params.a), v > vec4f()); }
    case MISH: { // t + x (1 − t²) σ(x), with t = n / (n + 2)
      let c = min(v, vec4f(20.0));
      let e = exp_exact(c);
      let n = e * (e + 2.0);
      let share = 1.0 / (n + 2.0);
      return n * share + 4.0 * c * e * (1.0 + e) * share * share;
    }
    case HARDSWISH: { return select(select(v / 3.0 + 0.5, vec4f(1.0), v >= vec4f(3.0)), vec4f(), v <= vec4f(-3.0)); }
    case HARDSIGMOID: { return select(vec4f(), vec4f(1.0 / 6.0), (v > vec4f(-3.0)) & (v < vec4f(3.0))); }
    case LOG1P: { return 1.0 / (1.0 + v); }
    case EXPM1: { return exp_exact(v); }
    default: { return vec4f(); } // LOG_ADD has none of its own
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let v = x[i];
  let nan = (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(INF);
  if (DERIVATIVE) {
    y[i] = dy[i] * select(derivative(v), v, nan);
  } else {
    y[i] = select(value(v), select(v, vec4f(0.693147181), FN == LOG_ADD), nan); // infinities that are equal differ by 0
  }
}
