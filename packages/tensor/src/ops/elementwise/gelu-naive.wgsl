// y = x Φ(x), with Φ(x) the share of the standard normal distribution below x: GELU, one number at a time.
//
// Φ(−a) = e^(−a²/2) t P(t), t = 1 / (1 + 0.21 a), for a = |x|, and Φ(a) = 1 − Φ(−a): unary.wgsl, which has more to say about P.
// Mapping: one invocation per element. Traffic: x is read once, y written once, four bytes at a time.
struct Params { count: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [count]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [count]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u; // large launches are folded into two dimensions
  if (i >= params.count) { return; }
  let v = x[i];
  let a = min(abs(v), 15.0); // beyond, Φ is 0 or 1 in f32
  let t = 1.0 / (1.0 + 0.21 * a);
  let beyond = exp(-0.5 * a * a) * t * (0.0837151533 + t * (0.0850124023 + t * (0.0695700138 + t * (0.123471068 + t * (-0.0907701266
    + t * (0.344982999 + t * (-0.326489973 + t * (0.281802932 - 0.0712944591 * t))))))));
  y[i] = v * select(1.0 - beyond, beyond, v < 0.0);
}
