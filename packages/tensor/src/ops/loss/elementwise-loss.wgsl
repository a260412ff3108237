// loss = f(x, t) of each element, or with DERIVATIVE dx = dloss · scale · ∂f/∂x. d is x − t.
//
// Mapping: one invocation per element. Traffic: x and t are read once, the result written once.
override LOSS: u32 = 0; // 0 mse: d²; 1 l1: |d|; 2 smooth_l1: d² / 2β for |d| < β, else |d| − β / 2; 3 kl_div: t (ln t − x); 4 the same with t = ln target
override DERIVATIVE: bool = false;
override EACH: bool = true; // dloss has an element for each, not one for all

struct Params { count: u32, beta: f32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [count]
@group(0) @binding(1) var<storage, read> t: array<f32>;            // [count]
@group(0) @binding(2) var<storage, read> dloss: array<f32>;        // [count] or [1]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [count]
@group(0) @binding(4) var<uniform> params: Params;

// Whether x is NaN: by the bits, for WGSL may assume that nothing is, and its exp and log may make anything of it.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn loss(v: f32, t: f32) -> f32 {
  let d = v - t;
  switch LOSS {
    case 0u: { return d * d; }
    case 1u: { return abs(d); }
    case 2u: {
      if (abs(d) < params.beta) { return 0.5 * d * d / params.beta; }
      return abs(d) - 0.5 * params.beta;
    }
    case 3u: {
      if (t == 0.0) { return 0.0 - t * v; } // 0 ln 0 counts as 0; v may be NaN
      return t * (log(t) - v); // of NaN NaN, as t is a factor
    }
    default: { return exp(t) * (t - v); }
  }
}

fn derivative(v: f32, t: f32) -> f32 {
  let d = v - t;
  switch LOSS {
    case 0u: { return 2.0 * d; }
    case 1u: { return sign(d); }
    case 2u: {
      if (abs(d) >= params.beta) { return sign(d); }
      return d / params.beta; // also of NaN
    }
    case 3u: { return -t; }
    default: { return -select(exp(t), t, is_nan(t)); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  if (DERIVATIVE) {
    result[i] = dloss[select(0u, i, EACH)] * params.scale * derivative(x[i], t[i]);
  } else {
    result[i] = loss(x[i], t[i]);
  }
}
