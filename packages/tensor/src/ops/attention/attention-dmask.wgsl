// dmask of an additive mask: ds_ij = p_ij (dp_ij − δ_i), summed over the dimensions that the mask is broadcast along.
//
// The scores aren't kept, so each ds is computed from q, k, v and dy again: 4 D operations an element. Only a learned mask wants this.
// Mapping: one invocation per element of the mask, which adds up all ds it had a part in: the same order every time.
// Traffic: mostly from cache.
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override F16: bool = false;  // round the factors of products to f16, as mixed precision does

struct Params {
  q_strides: vec4u,   // of q and dy: elements from one batch, head, token to the next; then Tq
  k_strides: vec4u,   // of k and v, likewise; then Tk
  mask_shape: vec4u,  // batch, head, query, key: 1 where the mask is broadcast
  full_shape: vec4u,  // B, H, Tq, Tk
  counter: vec4u,     // dropout: of the first block of random numbers
  key: vec2u,
  threshold: u32,     // 2^24 times the probability p to drop
  rescale: f32,       // 1 / (1 − p)
  size: u32,          // elements of the mask
  scale: f32,
  group: u32,         // heads of q that share one of k and v
  before: u32,
  after: u32,
  head_dim: u32,      // D
}

@group(0) @binding(0) var<storage, read> q: array<f32>;      // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<f32>;      // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<f32>;      // like k
@group(0) @binding(3) var<storage, read> mask: array<f32>;   // mask_shape
@group(0) @binding(4) var<storage, read> dy: array<f32>;     // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dmask: array<f32>; // mask_shape
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let shape = params.mask_shape;
  let full = params.full_shape;
  let first = vec4u(e / (shape.w * shape.z * shape.y), e / (shape.w * shape.z) % shape.y, e / shape.w % shape.z, e % shape.w);
  let end = select(full, first + vec4u(1u), shape == full); // a broadcast dimension is walked along, from 0
  var sum = 0.0;
  if (bitcast<u32>(mask[e]) != 0xff800000u) { // at −∞ nothing flows
    for (var b = first.x; b < end.x; b++) {
      for (var h = first.y; h < end.y; h++) {
        for (var i = first.z; i < end.z; i++) {
          for (var j = first.w; j < end.w; j++) {
            if (!BAND || (j <= i + params.after && j + params.before >= i)) { sum += ds(vec4u(b, h, i, j), mask[e]); }
          }
        }
      }
    }
  }
  dmask[e] = sum;
}

fn ds(at: vec4u, bias: f32) -> f32 {
  let row = (at.x * params.full_shape.y + at.y) * params.q_strides.w + at.z;
  let q_at = dot(at.xyz, params.q_strides.xyz);
  let k_at = dot(vec3u(at.x, at.y / params.group, at.w), params.k_strides.xyz);
  var s = 0.0;
  var dp = 0.0;
  for (var d = 0u; d < params.head_dim; d++) {
    s += rounded(q[q_at + d]) * rounded(k[k_at + d]);
    dp += rounded(dy[q_at + d]) * rounded(v[k_at + d]);
  }
  let p = exp_negative(at_most_zero(s * params.scale + bias - rows[row].x)) * rows[row].y;
  if (DROPOUT) { dp = select(0.0, dp * params.rescale, kept(row * params.k_strides.w + at.w)); }
  return p * (dp - rows[row].z);
}

fn rounded(x: f32) -> f32 {
  if (F16) { return quantizeToF16(x); }
  return x;
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
