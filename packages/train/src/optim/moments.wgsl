// One step for one parameter, in place, of the optimizers that keep up to three numbers a, b, c for each element; FN says which:
//
//   Lion      p ← p − lr sign(β₁ a + (1 − β₁) g);  a ← β₂ a + (1 − β₂) g
//   RMSprop   a ← α a + (1 − α) g²;  d = g / (√a + ε), CENTERED √(a − b²), b the mean of g;  MOMENTUM c ← μ c + d, d = c;  p ← p − lr d
//   Adagrad   a ← a + g²;  p ← p − lr g / (√a + ε)
//   Adadelta  a ← ρ a + (1 − ρ) g²;  d = √(b + ε) / √(a + ε) g;  b ← ρ b + (1 − ρ) d²;  p ← p − lr d
//   Adamax    a ← β₁ a + (1 − β₁) g;  b ← max(β₂ b, |g| + ε);  p ← p − lr a / b
//   NAdam, RAdam, AMSGrad: a and b as Adam's m and v;  p ← p − lr (x g + y a) / (√v / s + ε), v = b or (AMSGrad) the largest b so far, c;
//   without RECTIFIED p ← p − lr y a. The host says x, y, s and lr of each step, in float64.
//
// Weight decay: DECOUPLED p ← p (1 − decay), else g ← g + decay p. g is multiplied by a factor on the way in, as in adamw.wgsl.
// Mapping: one invocation per four elements; buffers are padded. Traffic: p and what is kept are read and written once, g read once.
override FN: u32 = 0; // one of these
const LION = 0u; const RMSPROP = 1u; const ADAGRAD = 2u; const ADADELTA = 3u; const ADAMAX = 4u; const ADAM = 5u;
override DECOUPLED: bool = false;
override CENTERED: bool = false;
override MOMENTUM: bool = false;
override AMSGRAD: bool = false;

struct Params {
  vectors: u32, // elements / 4, rounded up
  rectified: u32, // of ADAM: whether its step is divided by the root of v
  lr: f32,
  decay: f32,
  beta1: f32, // or α, ρ
  one_minus_beta1: f32, // from float64
  beta2: f32, // or μ
  one_minus_beta2: f32,
  eps: f32,
  of_gradient: f32, // x
  of_mean: f32,     // y
  root: f32,        // 1 / s
}

@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> a: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  let now = clock[0];
  if (i >= params.vectors || now.y == 0.0) { return; }
  var before = p[i];
  var gradient = g[i] * now.x;
  if (DECOUPLED) { before -= params.decay * before; } else { gradient += params.decay * before; }
  let first = params.beta1 * a[i] + params.one_minus_beta1 * gradient; // a mean of g, where a is one
  let square = params.beta1 * a[i] + params.one_minus_beta1 * gradient * gradient; // of g², where a is one of that
  var step = vec4f();
  switch FN {
    case LION: {
      step = sign(first);
      a[i] = params.beta2 * a[i] + params.one_minus_beta2 * gradient;
    }
    case RMSPROP: {
      a[i] = square;
      var spread = square;
      if (CENTERED) {
        let mean = params.beta1 * b[i] + params.one_minus_beta1 * gradient;
        b[i] = mean;
        spread -= mean * mean;
      }
      step = gradient / (sqrt(spread) + params.eps);
      if (MOMENTUM) {
        step += params.beta2 * c[i];
        c[i] = step;
      }
    }
    case ADAGRAD: {
      let sum = a[i] + gradient * gradient;
      a[i] = sum;
      step = gradient / (sqrt(sum) + params.eps);
    }
    case ADADELTA: {
      a[i] = square;
      step = sqrt(b[i] + params.eps) / sqrt(square + params.eps) * gradient;
      b[i] = params.beta1 * b[i] + params.one_minus_beta1 * step * step;
    }
    case ADAMAX: {
      a[i] = first;
      let largest = max(params.beta2 * b[i], abs(gradient) + params.eps);
      b[i] = largest;
      step = first / largest;
    }
    default: { // ADAM
      a[i] = first;
      var spread = params.beta2 * b[i] + params.one_minus_beta2 * gradient * gradient;
      b[i] = spread;
      if (AMSGRAD) {
        spread = max(c[i], spread);
        c[i] = spread;
      }
      step = params.of_gradient * gradient + params.of_mean * first;
      if (params.rectified != 0u) { step /= sqrt(spread) * params.root + params.eps; }
    }
  }
  p[i] = before - params.lr * step;
}
