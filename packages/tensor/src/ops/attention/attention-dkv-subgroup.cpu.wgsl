// dk and dv of attention: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-subgroup.cpu.wgsl, for a CPU adapter with subgroups
// of eight lanes.
//
// The mirror image of dq: a lane holds keys, and the queries go by. p is computed again here as well: two kernels that each own
// their rows need no atomics, so sums are made in the same order every time.
// Mapping: one subgroup per 8 · KEYS keys of a head; a lane's keys are neighbours, so that one block of random numbers serves four.
// Loads and unrolling: as in attention-subgroup.cpu.wgsl. Traffic: k, v, dk, dv once; q and dy once per 8 · KEYS keys.
enable subgroups;

const VECTORS = 8u; // D / 4
const KEYS = 4u;    // keys per lane: 1, 2 or 4
const QUERIES = 4u; // queries in a step: QUERIES · VECTORS is a multiple of 8, and QUERIES at most 8
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
  batch_heads: u32, // B · heads of k and v
  heads: u32,       // of k and v
  group: u32,       // heads of q that share one of k and v
  before: u32,
  after: u32,
  width: u32,       // positions: R, the number of the first row of tables, and where distance 0 is numbered
  first: u32,
  middle: u32,
  scale: f32,
  vectors: u32,     // VECTORS · KEYS, where the compiler can't see it
}

@group(0) @binding(0) var q: texture_storage_2d<rgba32float, read>; // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var k: texture_storage_2d<rgba32float, read>; // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>; // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var dy: texture_storage_2d<rgba32float, read>; // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>; // like k
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>; // like k
@group(0) @binding(8) var<uniform> params: Params;

const LANES = 8u;
const WIDTH = 4096u; // texels in a row of an image
const LOADS = QUERIES * VECTORS / LANES; // vec4s of a step's queries that one lane loads
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

// What a lane holds.
var<private> key: array<vec4f, KEYS * VECTORS>;       // its keys
var<private> value: array<vec4f, KEYS * VECTORS>;     // and values
var<private> key_sum: array<vec4f, KEYS * VECTORS>;   // Σ ds q
var<private> value_sum: array<vec4f, KEYS * VECTORS>; // Σ p dy
var<private> query: array<vec4f, LOADS>;              // its share of the step's queries: vec4 n · 8 + lane of [QUERIES, VECTORS]
var<private> upstream: array<vec4f, LOADS>;           // and of their dy
var<private> p: array<f32, KEYS * QUERIES>;           // scores, then p
var<private> ds: array<f32, KEYS * QUERIES>;          // dp, then ds

// p += the part of q · k, and ds += the part of dy · v, that dimensions 4 d … 4 d + 3 give.
fn add_products(d: u32) {
  if (d >= VECTORS) { return; }
  for (var n = 0u; n < QUERIES; n++) {
    let share = n * VECTORS + d;
    let q4 = subgroupShuffle(query[share / LANES], share % LANES);
    let u4 = subgroupShuffle(upstream[share / LANES], share % LANES);
    for (var r = 0u; r < KEYS; r++) {
      let k4 = key[r * VECTORS + d];
      let v4 = value[r * VECTORS + d];
      p[r * QUERIES + n] = p[r * QUERIES + n] + q4.x * k4.x + q4.y * k4.y + q4.z * k4.z + q4.w * k4.w;
      ds[r * QUERIES + n] = ds[r * QUERIES + n] + u4.x * v4.x + u4.y * v4.y + u4.z * v4.z + u4.w * v4.w;
    }
  }
}

// key_sum += ds q and value_sum += p dy in dimensions 4 d … 4 d + 3.
fn add_queries(d: u32) {
  if (d >= VECTORS) { return; }
  for (var n = 0u; n < QUERIES; n++) {
    let share = n * VECTORS + d;
    let q4 = subgroupShuffle(query[share / LANES], share % LANES);
    let u4 = subgroupShuffle(upstream[share / LANES], share % LANES);
    for (var r = 0u; r < KEYS; r++) {
      key_sum[r * VECTORS + d] += ds[r * QUERIES + n] * q4;
      value_sum[r * VECTORS + d] += p[r * QUERIES + n] * u4;
    }
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
  let tiles = (keys + LANES * KEYS - 1u) / (LANES * KEYS);
  let index = group.x + group.y * workgroups.x;
  let kv_head = index / tiles; // of B · heads
  if (kv_head >= params.batch_heads) { return; } // the launch may be a few workgroups too many
  let first = (index % tiles) * LANES * KEYS;
  let at = vec2u(kv_head / params.heads, kv_head % params.heads);
  let k_at = dot(at, params.k_strides.xy);

  var load_k: array<vec4f, KEYS * VECTORS>; // walked through by a real loop, so they stay in memory
  var load_v: array<vec4f, KEYS * VECTORS>;
  for (var n = 0u; n < params.vectors; n++) {
    let source = k_at + min(first + KEYS * lane + n / VECTORS, keys - 1u) * params.k_strides.z + n % VECTORS;
    load_k[n] = four(k, source);
    load_v[n] = four(v, source);
  }
  for (var r = 0u; r < KEYS; r++) {
    for (var d = 0u; d < VECTORS; d++) {
      key[r * VECTORS + d] = load_k[r * VECTORS + d];
      value[r * VECTORS + d] = load_v[r * VECTORS + d];
      key_sum[r * VECTORS + d] = vec4f();
      value_sum[r * VECTORS + d] = vec4f();
    }
  }

  var start = 0u;
  var stop = queries;
  if (BAND) { // queries that see no key of this workgroup are skipped
    start = first - min(first, params.after);
    stop = min(stop, first + LANES * KEYS + params.before);
  }
  for (var g = 0u; g < params.group; g++) { // over the heads of q that these keys serve, one after the other
    let head = kv_head * params.group + g; // of B · H
    let q_from = vec2u(at.x, at.y * params.group + g);
    let q_at = dot(q_from, params.q_strides.xy);
    let mask_at = dot(q_from, params.mask_strides.xy);
    if (KEY_MASK && first >= u32(rows[head * queries].w)) { continue; } // no query sees any of these keys
    var key_bits: array<u32, KEYS>;
    for (var r = 0u; r < KEYS; r++) {
      key_bits[r] = 1u;
      if (KEY_MASK) { key_bits[r] = mask[mask_at + (first + KEYS * lane + r) * params.mask_strides.w]; }
    }
    for (var i = start; i < stop; i += QUERIES) {
      for (var n = 0u; n < LOADS; n++) {
        let share = n * LANES + lane;
        let source = q_at + min(i + share / VECTORS, queries - 1u) * params.q_strides.z + share % VECTORS;
        query[n] = four(q, source);
        upstream[n] = four(dy, source);
      }
      let lane_row = rows[head * queries + min(i + lane, queries - 1u)];

      for (var n = 0u; n < QUERIES; n++) {
        for (var r = 0u; r < KEYS; r++) { p[r * QUERIES + n] = 0.0; ds[r * QUERIES + n] = 0.0; }
      }
      add_products(0u); add_products(1u); add_products(2u); add_products(3u); add_products(4u); add_products(5u); add_products(6u); add_products(7u);
      if (VECTORS > 8u) { add_products(8u); add_products(9u); add_products(10u); add_products(11u); add_products(12u); add_products(13u); add_products(14u); add_products(15u); }
      if (VECTORS > 16u) { add_products(16u); add_products(17u); add_products(18u); add_products(19u); add_products(20u); add_products(21u); add_products(22u); add_products(23u); }
      if (VECTORS > 24u) { add_products(24u); add_products(25u); add_products(26u); add_products(27u); add_products(28u); add_products(29u); add_products(30u); add_products(31u); }

      for (var n = 0u; n < QUERIES; n++) {
        let row = subgroupShuffle(lane_row, n); // m, 1 / l, δ
        var keep = vec4<bool>();
        if (DROPOUT) { keep = kept_four((head * queries + i + n) * keys + first + KEYS * lane); }
        for (var r = 0u; r < KEYS; r++) {
          let j = first + KEYS * lane + r;
          var bits = key_bits[r];
          if (MASK > 0u && !KEY_MASK) { bits = mask[mask_at + (i + n) * params.mask_strides.z + j * params.mask_strides.w]; }
          let visible = i + n < queries && (!BAND || (j <= i + n + params.after && j + params.before >= i + n)) && bits != select(0u, MINUS_INFINITY, MASK == 2u);
          var score = p[r * QUERIES + n] * params.scale;
          if (POSITIONS) { score += position_score(head, i + n, j); }
          if (MASK == 2u) { score += bitcast<f32>(bits); }
          let weight = select(0.0, exp_negative(at_most_zero(score - row.x)), visible) * row.y; // 1 / l may be NaN
          let factor = select(1.0, select(0.0, params.rescale, keep[r]), DROPOUT);
          p[r * QUERIES + n] = weight * factor;
          ds[r * QUERIES + n] = weight * (ds[r * QUERIES + n] * factor - row.z);
          if (POSITIONS) { add_gradient(head, i + n, j, ds[r * QUERIES + n], bits); }
          if (F16) {
            p[r * QUERIES + n] = quantizeToF16(p[r * QUERIES + n]);
            ds[r * QUERIES + n] = quantizeToF16(ds[r * QUERIES + n]);
          }
        }
      }

      add_queries(0u); add_queries(1u); add_queries(2u); add_queries(3u); add_queries(4u); add_queries(5u); add_queries(6u); add_queries(7u);
      if (VECTORS > 8u) { add_queries(8u); add_queries(9u); add_queries(10u); add_queries(11u); add_queries(12u); add_queries(13u); add_queries(14u); add_queries(15u); }
      if (VECTORS > 16u) { add_queries(16u); add_queries(17u); add_queries(18u); add_queries(19u); add_queries(20u); add_queries(21u); add_queries(22u); add_queries(23u); }
      if (VECTORS > 24u) { add_queries(24u); add_queries(25u); add_queries(26u); add_queries(27u); add_queries(28u); add_queries(29u); add_queries(30u); add_queries(31u); }
    }
  }

  var store_k: array<vec4f, KEYS * VECTORS>; // likewise in memory
  var store_v: array<vec4f, KEYS * VECTORS>;
  for (var r = 0u; r < KEYS; r++) {
    for (var d = 0u; d < VECTORS; d++) {
      store_k[r * VECTORS + d] = key_sum[r * VECTORS + d] * params.scale;
      store_v[r * VECTORS + d] = value_sum[r * VECTORS + d];
    }
  }
  for (var n = 0u; n < params.vectors; n++) {
    let j = first + KEYS * lane + n / VECTORS;
    if (j < keys) {
      let target_at = k_at + j * params.k_strides.z + n % VECTORS;
      dk[target_at] = store_k[n];
      dv[target_at] = store_v[n];
    }
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
