// ds_ij = p_ij (dp_ij − δ_i), the gradient of an additive mask, from products that are there: scores = q kᵀ and dp = dy vᵀ.
//
// Two products and this are far fewer operations than attention-dmask.wgsl's, where most of the mask has an element of its own.
// Mapping: one invocation per element. Traffic: scores, dp and the mask are read once, ds is written over the scores.
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;

struct Params {
  mask_strides: vec4u, // batch, head, query, key: 0 where the mask is broadcast
  full_shape: vec4u,   // B, H, Tq, Tk
  counter: vec4u,      // dropout: of the first block of random numbers
  key: vec2u,
  threshold: u32,      // 2^24 times the probability p to drop
  rescale: f32,        // 1 / (1 − p)
  size: u32,           // elements of full_shape
  scale: f32,
  before: u32,
  after: u32,
}

@group(0) @binding(0) var<storage, read_write> scores: array<f32>; // full_shape; ds afterwards
@group(0) @binding(1) var<storage, read> dps: array<f32>;      // full_shape
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4f>;   // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let full = params.full_shape;
  let row = e / full.w;
  let at = vec4u(row / (full.z * full.y), row / full.z % full.y, row % full.z, e % full.w);
  let bias = mask[dot(at, params.mask_strides)];
  let hidden = bitcast<u32>(bias) == 0xff800000u || (BAND && (at.w > at.z + params.after || at.w + params.before < at.z)); // at −∞ nothing flows
  let p = exp_negative(at_most_zero(scores[e] * params.scale + bias - rows[row].x)) * rows[row].y;
  var dp = dps[e];
  if (DROPOUT) { dp = select(0.0, dp * params.rescale, kept(e)); }
  scores[e] = select(p * (dp - rows[row].z), 0.0, hidden);
}

// min(x, 0), but NaN of NaN, which WGSL's min may drop.
fn at_most_zero(x: f32) -> f32 { return 0.5 * (x - abs(x)); }

// exp(x) for x ≤ 0 to the last bit or so; WGSL's own may be 3 + 2 |x| units off. x = n ln 2 + r, so exp(x) = 2^n exp(r), |r| ≤ ln 2 / 2.
fn exp_negative(x: f32) -> f32 {
  let n = round(max(x, -87.0) * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4; // ln 2 in two pieces: the first times n is exact
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
  let vanishes = bitcast<u32>(x) - 0xc2ae0000u <= 0x3cd20000u; // −87 … −∞, by the bits: NaN is to stay NaN
  return select(series * bitcast<f32>((i32(n) + 127) << 23u), 0.0, vanishes);
}

// Whether dropout keeps element e of [B, H, Tq, Tk]: kept.wgsl has the kept() that draws.
fn kept(e: u32) -> bool { return true; }
