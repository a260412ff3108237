// δ of attention's backward for rows of large scores, in the place of the one in `rows`: δ_i = Σ_j p_ij dp_ij.
//
// attention-rows.wgsl takes y_i · dy_i for it, the same number from another rounding. Where scores are large, softmax is nearly one-hot: its
// gradient is the small dp − δ of one key, of which rounding in two ways leaves little, and q and k, which it is multiplied by, are large.
// Summed from the kernels' own dp, the rounding of that key's dp cancels. Scores up to LARGE, and so nearly all of a trained model's, stay
// with y · dy: this walk through all keys costs as much as a naive dq.
// Mapping: one invocation per query. Traffic: rows; for each query of large scores q and dy once per key, k and v once.
const LARGE = 32.0;
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `rows` says where it ends
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override POSITIONS: bool = false; // add position_score()
override F16: bool = false;      // round the factors of products to f16, as mixed precision does

struct Params {
  q_strides: vec4u,    // of q and y: elements from one batch, head, token to the next; then Tq
  k_strides: vec4u,    // of k and v, likewise; then Tk
  mask_strides: vec4u, // of batch, head, query, key: 0 where the mask is broadcast
  counter: vec4u,      // dropout: of the first block of random numbers
  key: vec2u,
  threshold: u32,      // 2^24 times the probability p to drop
  rescale: f32,        // 1 / (1 − p)
  batch_heads: u32, // B · H
  heads: u32,       // H
  group: u32,       // heads of q that share one of k and v
  before: u32,
  after: u32,
  width: u32,       // positions: R, the number of the first row of tables, and where distance 0 is numbered
  first: u32,
  middle: u32,
  scale: f32,
  head_dim: u32,    // D
}

@group(0) @binding(0) var<storage, read> q: array<f32>;      // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<f32>;      // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<f32>;      // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> dy: array<f32>;     // like q
@group(0) @binding(5) var<storage, read_write> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<uniform> params: Params;

const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let row = id.x + id.y * workgroups.x * 64u;
  let head = row / queries; // of B · H
  if (head >= params.batch_heads) { return; }
  let saved = rows[row];
  if (saved.x <= LARGE) { return; }
  let i = row % queries;
  let at = vec2u(head / params.heads, head % params.heads);
  let q_at = dot(at, params.q_strides.xy) + i * params.q_strides.z;
  let k_first = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let mask_first = dot(at, params.mask_strides.xy) + i * params.mask_strides.z;
  var end = keys;
  if (KEY_MASK) { end = u32(saved.w); }
  var start = 0u;
  if (BAND) { start = i - min(i, params.before); end = min(end, i + params.after + 1u); }

  var delta = 0.0;
  for (var j = start; j < end; j++) {
    let k_at = k_first + j * params.k_strides.z;
    let mask_at = mask_first + j * params.mask_strides.w;
    var weight = 0.0;
    if (sees(mask_at)) {
      var s = score(q_at, k_at, mask_at);
      if (POSITIONS) { s += position_score(head, i, j); }
      weight = exp_negative(at_most_zero(s - saved.x));
    }
    var dp = 0.0;
    if (!DROPOUT || kept(row * keys + j)) { dp = upstream(q_at, k_at) * params.rescale; }
    delta += weight * saved.y * dp;
  }
  rows[row].z = delta;
}

// Whether the mask lets this pair of a query and a key through.
fn sees(mask_at: u32) -> bool {
  if (MASK == 0u) { return true; }
  return mask[mask_at] != select(0u, MINUS_INFINITY, MASK == 2u);
}

// The score of such a pair.
fn score(q_at: u32, k_at: u32, mask_at: u32) -> f32 {
  var s = 0.0;
  for (var d = 0u; d < params.head_dim; d++) { s += rounded(q[q_at + d]) * rounded(k[k_at + d]); }
  if (MASK == 2u) { return s * params.scale + bitcast<f32>(mask[mask_at]); }
  return s * params.scale;
}

// What the loss gains by p_ij: dy_i · v_j.
fn upstream(q_at: u32, k_at: u32) -> f32 {
  var sum = 0.0;
  for (var d = 0u; d < params.head_dim; d++) { sum += rounded(dy[q_at + d]) * rounded(v[k_at + d]); }
  return sum;
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

// What the positions of query i and key j add to the score: position-scores.wgsl has the one that adds something.
fn position_score(head: u32, i: u32, j: u32) -> f32 { return 0.0; }
