// dq of attention: dq_i = scale Σ_j ds_ij k_j, ds = p ∘ (dp − δ), dp_ij = dy_i · v_j, δ_i = y_i · dy_i, for a CPU adapter with subgroups of eight lanes.
//
// p_ij = exp(s_ij − m_i) / l_i is computed again from q, k and the saved m and l: cheaper than having stored it. With dropout, p
// and dp are those of the kept elements, over 1 − the probability to drop; δ is the same.
// Mapping, loads, unrolling: as in attention-subgroup.cpu.wgsl. Nobody else adds to these rows of dq: no atomics.
// Traffic: q, dy and dq once; k and v once per 8 · ROWS queries.
enable subgroups;

const VECTORS = 8u; // D / 4
const ROWS = 2u;    // queries per lane
const KEYS = 8u;    // keys in a step: KEYS · VECTORS is a multiple of 8, and KEYS of 4
override MASK: u32 = 0;        // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `lengths` says where it ends
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override POSITIONS: bool = false; // add position_score()
override F16: bool = false;      // round the factors of products to f16, as mixed precision does

struct Params {
  q_strides: vec4u,    // of q and y: vec4s from one batch, head, token to the next; then Tq
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
  vectors: u32,     // VECTORS · ROWS, where the compiler can't see it
}

@group(0) @binding(0) var q: texture_storage_2d<rgba32float, read>; // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var k: texture_storage_2d<rgba32float, read>; // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>; // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var dy: texture_storage_2d<rgba32float, read>; // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>; // like q
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 8u;
const WIDTH = 4096u; // texels in a row of an image
const LOADS = KEYS * VECTORS / LANES; // vec4s of a step's keys that one lane loads
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

// What a lane holds.
var<private> query: array<vec4f, ROWS * VECTORS>;    // its queries
var<private> upstream: array<vec4f, ROWS * VECTORS>; // their dy
var<private> sum: array<vec4f, ROWS * VECTORS>;      // their Σ ds k
var<private> key: array<vec4f, LOADS>;               // its share of the step's keys: vec4 n · 8 + lane of [KEYS, VECTORS]
var<private> value: array<vec4f, LOADS>;
var<private> s: array<f32, ROWS * KEYS>;             // scores, then ds
var<private> dp: array<f32, ROWS * KEYS>;

// s += the part of q · k, and dp += the part of dy · v, that dimensions 4 d … 4 d + 3 give.
fn add_products(d: u32) {
  if (d >= VECTORS) { return; }
  for (var n = 0u; n < KEYS; n++) {
    let share = n * VECTORS + d;
    let k4 = subgroupShuffle(key[share / LANES], share % LANES);
    let v4 = subgroupShuffle(value[share / LANES], share % LANES);
    for (var r = 0u; r < ROWS; r++) {
      let q4 = query[r * VECTORS + d];
      let u4 = upstream[r * VECTORS + d];
      s[r * KEYS + n] = s[r * KEYS + n] + q4.x * k4.x + q4.y * k4.y + q4.z * k4.z + q4.w * k4.w;
      dp[r * KEYS + n] = dp[r * KEYS + n] + u4.x * v4.x + u4.y * v4.y + u4.z * v4.z + u4.w * v4.w;
    }
  }
}

// sum += ds k in dimensions 4 d … 4 d + 3.
fn add_keys(d: u32) {
  if (d >= VECTORS) { return; }
  for (var n = 0u; n < KEYS; n++) {
    let share = n * VECTORS + d;
    let k4 = subgroupShuffle(key[share / LANES], share % LANES);
    for (var r = 0u; r < ROWS; r++) { sum[r * VECTORS + d] += s[r * KEYS + n] * k4; }
  }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
) {
  let lane = local.x;
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let tiles = (queries + LANES * ROWS - 1u) / (LANES * ROWS);
  let index = group.x + group.y * workgroups.x;
  let head = index / tiles; // of B · H
  if (head >= params.batch_heads) { return; } // the launch may be a few workgroups too many
  let first = (index % tiles) * LANES * ROWS;
  let at = vec2u(head / params.heads, head % params.heads);
  let q_at = dot(at, params.q_strides.xy);
  let k_at = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let mask_at = dot(at, params.mask_strides.xy);

  var load_q: array<vec4f, ROWS * VECTORS>; // walked through by a real loop, so they stay in memory
  var load_dy: array<vec4f, ROWS * VECTORS>;
  for (var n = 0u; n < params.vectors; n++) {
    let i = min(first + LANES * (n / VECTORS) + lane, queries - 1u);
    load_q[n] = four(q, q_at + i * params.q_strides.z + n % VECTORS);
    load_dy[n] = four(dy, q_at + i * params.q_strides.z + n % VECTORS);
  }
  var saved: array<vec4f, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    for (var d = 0u; d < VECTORS; d++) {
      query[r * VECTORS + d] = load_q[r * VECTORS + d];
      upstream[r * VECTORS + d] = load_dy[r * VECTORS + d];
      sum[r * VECTORS + d] = vec4f();
    }
    saved[r] = rows[head * queries + min(first + LANES * r + lane, queries - 1u)];
  }

  var end = keys;
  if (KEY_MASK) { end = u32(rows[head * queries].w); }
  var start = 0u;
  if (BAND) { // what no query of this workgroup sees is skipped
    start = first - min(first, params.before);
    start -= start % KEYS;
    end = min(end, first + LANES * ROWS + params.after);
  }
  for (var j = start; j < end; j += KEYS) {
    for (var n = 0u; n < LOADS; n++) {
      let share = n * LANES + lane;
      let source = k_at + min(j + share / VECTORS, keys - 1u) * params.k_strides.z + share % VECTORS;
      key[n] = four(k, source);
      value[n] = four(v, source);
    }
    var key_bits = 1u;
    if (KEY_MASK) { key_bits = mask[mask_at + (j + lane) * params.mask_strides.w]; }

    for (var n = 0u; n < KEYS; n++) {
      for (var r = 0u; r < ROWS; r++) { s[r * KEYS + n] = 0.0; dp[r * KEYS + n] = 0.0; }
    }
    add_products(0u); add_products(1u); add_products(2u); add_products(3u); add_products(4u); add_products(5u); add_products(6u); add_products(7u);
    if (VECTORS > 8u) { add_products(8u); add_products(9u); add_products(10u); add_products(11u); add_products(12u); add_products(13u); add_products(14u); add_products(15u); }
    if (VECTORS > 16u) { add_products(16u); add_products(17u); add_products(18u); add_products(19u); add_products(20u); add_products(21u); add_products(22u); add_products(23u); }
    if (VECTORS > 24u) { add_products(24u); add_products(25u); add_products(26u); add_products(27u); add_products(28u); add_products(29u); add_products(30u); add_products(31u); }

    for (var r = 0u; r < ROWS; r++) {
      let i = first + LANES * r + lane;
      if (DROPOUT) {
        for (var n = 0u; n < KEYS; n += 4u) {
          let keep = kept_four((head * queries + i) * keys + j + n);
          for (var c = 0u; c < 4u; c++) { dp[r * KEYS + n + c] *= select(0.0, params.rescale, keep[c]); }
        }
      }
      for (var n = 0u; n < KEYS; n++) {
        var bits = subgroupShuffle(key_bits, n);
        if (MASK > 0u && !KEY_MASK) { bits = mask[mask_at + i * params.mask_strides.z + (j + n) * params.mask_strides.w]; }
        let visible = j + n < keys && (!BAND || (j + n <= i + params.after && j + n + params.before >= i)) && bits != select(0u, MINUS_INFINITY, MASK == 2u);
        var score = s[r * KEYS + n] * params.scale;
        if (POSITIONS) { score += position_score(head, i, j + n); }
        if (MASK == 2u) { score += bitcast<f32>(bits); }
        let p = select(0.0, exp_negative(at_most_zero(score - saved[r].x)), visible) * saved[r].y; // 1 / l may be NaN
        s[r * KEYS + n] = p * (dp[r * KEYS + n] - saved[r].z);
        if (POSITIONS) { add_gradient(head, i, j + n, s[r * KEYS + n], bits); }
        if (F16) { s[r * KEYS + n] = quantizeToF16(s[r * KEYS + n]); }
      }
    }

    add_keys(0u); add_keys(1u); add_keys(2u); add_keys(3u); add_keys(4u); add_keys(5u); add_keys(6u); add_keys(7u);
    if (VECTORS > 8u) { add_keys(8u); add_keys(9u); add_keys(10u); add_keys(11u); add_keys(12u); add_keys(13u); add_keys(14u); add_keys(15u); }
    if (VECTORS > 16u) { add_keys(16u); add_keys(17u); add_keys(18u); add_keys(19u); add_keys(20u); add_keys(21u); add_keys(22u); add_keys(23u); }
    if (VECTORS > 24u) { add_keys(24u); add_keys(25u); add_keys(26u); add_keys(27u); add_keys(28u); add_keys(29u); add_keys(30u); add_keys(31u); }
  }

  var store: array<vec4f, ROWS * VECTORS>; // likewise in memory
  for (var r = 0u; r < ROWS; r++) {
    for (var d = 0u; d < VECTORS; d++) { store[r * VECTORS + d] = sum[r * VECTORS + d] * params.scale; }
  }
  for (var n = 0u; n < params.vectors; n++) {
    let i = first + LANES * (n / VECTORS) + lane;
    if (i < queries) { dq[q_at + i * params.q_strides.z + n % VECTORS] = store[n]; }
  }
}

// Four numbers of a tensor, by their place among its vec4s.
fn four(image: texture_storage_2d<rgba32float, read>, at: u32) -> vec4f { return rounded(textureLoad(image, vec2u(at % WIDTH, at / WIDTH))); }

fn rounded(x: vec4f) -> vec4f {
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

// Which of the elements e … e+3 of [B, H, Tq, Tk] dropout keeps: kept.wgsl has the kept_four() that draws.
fn kept_four(e: u32) -> vec4<bool> { return vec4<bool>(true); }

// What the positions of query i and key j add to the score: position-scores.wgsl has the one that adds something.
fn position_score(head: u32, i: u32, j: u32) -> f32 { return 0.0; }

// Where the gradient of position_score() goes: position-gradients.wgsl.
fn add_gradient(head: u32, i: u32, j: u32, ds: f32, mask_bits: u32) {}
