// GELU for the epilogue of a matmul kernel, which writes C, that backward needs, and y = gelu(C) beside it, so that C is not read back for it.
// Not a kernel by itself: with epilogue-gelu-store.wgsl or epilogue-gelu-store-vectors.wgsl it takes the place of a kernel's store(), which is whole without it.
// The functions are those of ops/elementwise/unary.wgsl, which derives them.
const TANH = false; // GELU by tanh instead of the exact one; no override, which naga wants before workgroup memory

// e^v
fn exp_exact(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-104.5), vec4f(89.0));
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u);
  let rest = vec4i(n) - half;
  return series * bitcast<vec4f>((half + 127) << vec4u(23u)) * bitcast<vec4f>((rest + 127) << vec4u(23u));
}

// 1 / (1 + e^-v)
fn sigmoid(v: vec4f) -> vec4f {
  let e = exp_exact(-abs(v));
  return select(vec4f(1.0), e, v < vec4f()) / (1.0 + e);
}

// Φ(-a) e^(a²/2) for a >= 0
fn tail(a: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.21 * a);
  return t * (0.0837151533 + t * (0.0850124023 + t * (0.0695700138 + t * (0.123471068 + t * (-0.0907701266
    + t * (0.344982999 + t * (-0.326489973 + t * (0.281802932 - 0.0712944591 * t))))))));
}

// Φ(v), the share of the normal distribution below v
fn normal_share(v: vec4f) -> vec4f {
  let a = min(abs(v), vec4f(15.0));
  let beyond = tail(a) * exp_exact(-0.5 * a * a);
  return select(1.0 - beyond, beyond, v < vec4f());
}

// x Φ(x), or x σ(2√(2/π) (x + 0.044715 x³))
fn gelu(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-20.0), vec4f(20.0));
  var share: vec4f;
  if (TANH) { share = sigmoid(1.59576912 * (c + 0.044715 * c * c * c)); } else { share = normal_share(v); }
  let nan = (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return select(v * share, v, nan);
}
