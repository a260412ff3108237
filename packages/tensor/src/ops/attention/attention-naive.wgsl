// y = softmax(q kᵀ scale + mask) v, for each batch and head, as the formula says: for any head dimension, on any adapter.
//
// For a query: m = max_j s_j; p_j = exp(s_j − m), l = Σ_j p_j; y = Σ_j p_j v_j / l. Subtracting m changes nothing, but keeps exp from
// overflowing. So the keys are walked through twice, and each score is made twice: storing them would take a matrix of Tq × Tk.
// Mapping: one invocation per query; y itself is what it adds up in. Saved for backward: m and l.
// Traffic: for each query k twice, v once, and y once per key, as far as no cache helps.
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `lengths` says where it ends
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
@group(0) @binding(4) var<storage, read> lengths: array<u32>; // [B, H]: keys worth looking at
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // like q
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(7) var<uniform> params: Params;

const LOWEST = -3.4028234663852886e38;
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let row = id.x + id.y * workgroups.x * 64u;
  let head = row / queries; // of B · H
  if (head >= params.batch_heads) { return; }
  let i = row % queries;
  let at = vec2u(head / params.heads, head % params.heads);
  let q_at = dot(at, params.q_strides.xy) + i * params.q_strides.z;
  let k_first = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let mask_first = dot(at, params.mask_strides.xy) + i * params.mask_strides.z;
  var end = keys;
  if (KEY_MASK) { end = lengths[head]; }
  var start = 0u;
  if (BAND) { start = i - min(i, params.before); end = min(end, i + params.after + 1u); }

  var m = LOWEST;
  for (var j = start; j < end; j++) {
    let k_at = k_first + j * params.k_strides.z;
    let mask_at = mask_first + j * params.mask_strides.w;
    if (sees(mask_at)) {
      var s = score(q_at, k_at, mask_at);
      if (POSITIONS) { s += position_score(head, i, j); }
      m = max(m, s);
    }
  }

  var l = 0.0;
  for (var d = 0u; d < params.head_dim; d++) { y[q_at + d] = 0.0; }
  for (var j = start; j < end; j++) {
    let k_at = k_first + j * params.k_strides.z;
    let mask_at = mask_first + j * params.mask_strides.w;
    var s = score(q_at, k_at, mask_at);
    if (POSITIONS) { s += position_score(head, i, j); }
    var p = 0.0;
    if (sees(mask_at) || is_nan(s)) { p = exp_negative(s - m); } // hiding takes −∞, which leaves NaN as it is
    l += p;
    if (DROPOUT) { p = select(0.0, p, kept(row * keys + j)); }
    for (var d = 0u; d < params.head_dim; d++) { y[q_at + d] += rounded(p) * rounded(v[k_at + d]); }
  }

  let norm = select(1.0 / l, 0.0, bitcast<u32>(l) == 0u) * params.rescale; // a query that sees no key gets 0
  for (var d = 0u; d < params.head_dim; d++) { y[q_at + d] *= norm; }
  stats[row] = vec2f(m, l);
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

fn rounded(x: f32) -> f32 {
  if (F16) { return quantizeToF16(x); }
  return x;
}

// Whether x is NaN: by the bits, for WGSL may assume that no float is.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

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
