// One tick of an optimizer's clock, kept on the device where the device decides whether a step is taken (GradScaler): how many steps t a
// parameter has taken, and 1 / (1 − β₁ᵗ) and 1 / √(1 − β₂ᵗ), which its next update needs.
//
// 1 − βᵗ = −expm1(t ln β), where nothing cancels: a series for x = −t ln β / 64, then six times c(2x) = c(x) (2 − c(x)). It is right
// to 3e-7 for all t; adding up c ← β c + (1 − β) would be off by 5e-6 for β = 0.999.
// Mapping: one invocation per parameter.
struct Params {
  first: u32,     // record of the first parameter
  count: u32,     // parameters
  log_beta1: f32, // ln β, but at least −20: from there on 1 − βᵗ is 1 in f32
  log_beta2: f32,
}

@group(0) @binding(0) var<storage, read> factor: array<vec4f>;      // [1]: of this step, from clip-factor.wgsl
@group(0) @binding(1) var<storage, read_write> clock: array<vec4f>; // the factor; then for each parameter t, –, and the corrections
@group(0) @binding(2) var<uniform> params: Params;

fn one_minus_power(log_beta: f32, t: f32) -> f32 {
  let x = min(-log_beta * t, 20.0) / 64.0;
  var c = x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 * (1.0 - x / 7.0))))));
  for (var k = 0u; k < 6u; k++) { c *= 2.0 - c; }
  return c;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.count) { return; }
  let now = factor[0];
  if (id.x == 0u) { clock[0] = now; }
  if (now.y == 0.0) { return; } // this step is left out
  let k = params.first + id.x;
  let t = clock[k].x + 1.0;
  let c1 = one_minus_power(params.log_beta1, t);
  let c2 = one_minus_power(params.log_beta2, t);
  clock[k] = vec4f(t, 0.0, 1.0 / c1, 1.0 / sqrt(c2));
}
