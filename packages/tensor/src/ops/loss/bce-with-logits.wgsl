// loss = w (p t softplus(−x) + (1 − t) softplus(x)) of each element, or with DERIVATIVE dx = dloss · scale · w ((1 − t) σ(x) − p t σ(−x)).
//
// softplus(x) = ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|) never overflows; both forms add terms of one sign, so none of their digits
// cancel, however sure and right the model is. Mapping: one invocation per element. Traffic: every tensor once.
override WEIGHT: bool = false;
override POS_WEIGHT: bool = false;
override DERIVATIVE: bool = false;
override EACH: bool = true; // dloss has an element for each, not one for all

struct Params { count: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [count] logits
@group(0) @binding(1) var<storage, read> t: array<f32>;            // [count] in [0, 1]
@group(0) @binding(2) var<storage, read> weight: array<f32>;       // [count]
@group(0) @binding(3) var<storage, read> pos_weight: array<f32>;   // [count]
@group(0) @binding(4) var<storage, read> dloss: array<f32>;        // [count] or [1]
@group(0) @binding(5) var<storage, read_write> result: array<f32>; // [count]
@group(0) @binding(6) var<uniform> params: Params;

// ln(1 + e) for e in [0, 1]: 2 artanh(s) with s = e / (2 + e) ≤ 1/3. Exact to rounding also where 1 + e would be 1.
fn log1p(e: f32) -> f32 {
  let s = e / (2.0 + e);
  let z = s * s;
  let series = z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z * (1.0 / 13 + z / 15))))));
  return 2.0 * (s + s * series);
}

// Whether x is NaN: by the bits, for WGSL may assume that nothing is, and its exp and log may make anything of it.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let e = select(exp(-abs(x[i])), x[i], is_nan(x[i]));
  var positive = t[i];
  if (POS_WEIGHT) { positive *= pos_weight[i]; }
  let negative = 1.0 - t[i];

  var value = 0.0;
  if (DERIVATIVE) {
    let near = 1.0 / (1.0 + e); // σ(|x|)
    let far = e / (1.0 + e);    // σ(−|x|)
    let slope = select(negative * far - positive * near, negative * near - positive * far, x[i] >= 0.0);
    value = slope * dloss[select(0u, i, EACH)] * params.scale;
  } else {
    value = negative * max(x[i], 0.0) + positive * max(-x[i], 0.0) + (positive + negative) * log1p(e);
  }
  if (WEIGHT) { value *= weight[i]; }
  result[i] = value;
}
