// dk and dv of attention: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-naive.wgsl. For any head dimension.
//
// The mirror image of dq: an invocation owns a key, and walks through the queries. p is computed again here as well: two kernels that
// each own their rows need no atomics, so sums are made in the same order every time.
// Mapping: one invocation per key; dk and dv themselves are what it adds up in. Traffic: for each key q and dy once, dk and dv once per query.
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
  batch_heads: u32, // B · heads of k and v
  heads: u32,       // of k and v
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
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dk: array<f32>; // like k
@group(0) @binding(7) var<storage, read_write> dv: array<f32>; // like k
@group(0) @binding(8) var<uniform> params: Params;

const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let row = id.x + id.y * workgroups.x * 64u;
  let kv_head = row / keys; // of B · heads
  if (kv_head >= params.batch_heads) { return; }
  let j = row % keys;
  let at = vec2u(kv_head / params.heads, kv_head % params.heads);
  let k_at = dot(at, params.k_strides.xy) + j * params.k_strides.z;
  var start = 0u;
  var stop = queries;
  if (BAND) { start = j - min(j, params.after); stop = min(stop, j + params.before + 1u); }

  for (var d = 0u; d < params.head_dim; d++) { dk[k_at + d] = 0.0; dv[k_at + d] = 0.0; }
  for (var g = 0u; g < params.group; g++) { // over the heads of q that these keys serve, one after the other
    let head = kv_head * params.group + g; // of B · H
    let q_from = vec2u(at.x, at.y * params.group + g);
    let q_first = dot(q_from, params.q_strides.xy);
    let mask_first = dot(q_from, params.mask_strides.xy) + j * params.mask_strides.w;
    if (KEY_MASK && j >= u32(rows[head * queries].w)) { continue; } // no query sees this key
    for (var i = start; i < stop; i++) {
      let q_at = q_first + i * params.q_strides.z;
      let mask_at = mask_first + i * params.mask_strides.z;
      let saved = rows[head * queries + i];
      var weight = 0.0;
      if (sees(mask_at)) {
        var s = score(q_at, k_at, mask_at);
        if (POSITIONS) { s += position_score(head, i, j); }
        weight = exp_negative(at_most_zero(s - saved.x));
      }
      weight *= saved.y; // also of a hidden key: 1 / l may be NaN
      var keep = 1.0;
      if (DROPOUT) { keep = select(0.0, params.rescale, kept((head * queries + i) * keys + j)); }
      let p = weight * keep;
      let ds = weight * (upstream(q_at, k_at) * keep - saved.z);
      if (POSITIONS) { add_gradient(head, i, j, ds, select(0u, mask[mask_at], MASK == 2u)); }
      for (var d = 0u; d < params.head_dim; d++) {
        dk[k_at + d] += rounded(ds) * rounded(q[q_at + d]);
        dv[k_at + d] += rounded(p) * rounded(dy[q_at + d]);
      }
    }
  }
  for (var d = 0u; d < params.head_dim; d++) { dk[k_at + d] *= params.scale; }
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

// Where the gradient of position_score() goes: position-gradients.wgsl.
fn add_gradient(head: u32, i: u32, j: u32, ds: f32, mask_bits: u32) {}
