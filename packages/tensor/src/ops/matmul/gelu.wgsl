// y = gelu(x) = x Φ(x), Φ being the normal distribution's integral; or backward, y = dy · gelu'(x) with gelu'(x) = Φ(x) + x Φ'(x).
// With TANH, Φ(x) is approximated by (1 + tanh s) / 2, s = √(2/π) (x + 0.044715 x³).
//
// Both follow from the tail q = Φ(−|x|), which is small and precise, where 1 + erf or 1 + tanh would cancel.
// Mapping: one invocation per four elements; the last may reach into the buffer's padding. Traffic: all read once, y written once.
override TANH: bool = false;
override BACKWARD: bool = false;

struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // only read backward
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

// The tail Φ(−u) for u ≥ 0 is a fitted polynomial in t = 1 / (1 + 0.3 u) times e^(−u²/2): relative error 4e-7 up to u = 14, where f32 ends.
fn normal_tail(u: vec4f, gauss: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.3 * u);
  var s = 0.001648942419 * t + 0.02870155529;
  s = s * t - 0.1448816507;
  s = s * t + 0.1945287583;
  s = s * t - 0.04697491514;
  s = s * t + 0.1262678784;
  s = s * t + 0.1003733439;
  s = s * t + 0.1207046451;
  s = s * t + 0.1196314626;
  return s * t * gauss;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i * 4u >= params.size) { return; }
  let v = x[i];
  let u = min(abs(v), vec4f(14.0)); // beyond, q is 0

  var q: vec4f;
  var slope: vec4f; // Φ'(x)
  if (TANH) {
    let e = exp(-1.5957691216057308 * (u + 0.044715 * u * u * u)); // e^(−2|s|)
    q = e / (1.0 + e);
    slope = q * (1.0 - q) * 1.5957691216057308 * (1.0 + 0.134145 * u * u);
  } else {
    let gauss = exp(-0.5 * u * u);
    q = normal_tail(u, gauss);
    slope = 0.3989422804014327 * gauss;
  }
  let positive = v > vec4f(0.0);
  if (BACKWARD) {
    y[i] = dy[i] * (select(q, 1.0 - q, positive) + v * slope);
  } else {
    y[i] = v * select(q, 1.0 - q, positive);
  }
}
