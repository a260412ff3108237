// y = softmax(q kᵀ scale + mask) v by online softmax (attention-tiled.wgsl explains it), for a CPU adapter with subgroups of eight lanes.
//
// There a load costs as much as dozens of multiplications, and a value in one lane reaches the others for
// almost nothing. So a lane holds ROWS queries in registers, with their sums; the subgroup loads KEYS keys together, each lane
// a share, and every number of a key is broadcast once and used for 8 · ROWS queries. No workgroup memory, no barriers.
// Mapping: one subgroup per 8 · ROWS queries of a head; query first + 8 r + lane is the lane's r-th. D is a multiple of 4.
// Arrays become registers only where every index is a constant in the end: compilers unroll small loops, but not a large one, so its
// body is a function here, called with each number. Traffic: q and y once; k and v once per 8 · ROWS queries.
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
@group(0) @binding(3) var<storage, read> mask: array<u32>;         // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> lengths: array<u32>;      // [B, H]: keys worth looking at
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;    // like q
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 8u;
const WIDTH = 4096u; // texels in a row of an image
const LOADS = KEYS * VECTORS / LANES; // vec4s of a step's keys that one lane loads
const LOWEST = -3.4028234663852886e38;
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

// What a lane holds.
var<private> query: array<vec4f, ROWS * VECTORS>; // its queries
var<private> o: array<vec4f, ROWS * VECTORS>;     // their Σ p v
var<private> key: array<vec4f, LOADS>;            // its share of the step's keys: vec4 n · 8 + lane of [KEYS, VECTORS]
var<private> value: array<vec4f, LOADS>;
var<private> s: array<f32, ROWS * KEYS>;          // scores, then p
var<private> shrink: array<f32, ROWS>;            // exp(m_old − m_new)

// s += the part of q · k that dimensions 4 d … 4 d + 3 give.
fn add_scores(d: u32) {
  if (d >= VECTORS) { return; }
  for (var n = 0u; n < KEYS; n++) {
    let share = n * VECTORS + d;
    let k4 = subgroupShuffle(key[share / LANES], share % LANES);
    for (var r = 0u; r < ROWS; r++) {
      let q4 = query[r * VECTORS + d];
      s[r * KEYS + n] = s[r * KEYS + n] + q4.x * k4.x + q4.y * k4.y + q4.z * k4.z + q4.w * k4.w;
    }
  }
}

// o = o shrink + p v in dimensions 4 d … 4 d + 3.
fn add_values(d: u32) {
  if (d >= VECTORS) { return; }
  for (var r = 0u; r < ROWS; r++) { o[r * VECTORS + d] *= shrink[r]; }
  for (var n = 0u; n < KEYS; n++) {
    let share = n * VECTORS + d;
    let v4 = subgroupShuffle(value[share / LANES], share % LANES);
    for (var r = 0u; r < ROWS; r++) { o[r * VECTORS + d] += s[r * KEYS + n] * v4; }
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

  var load: array<vec4f, ROWS * VECTORS>; // walked through by a real loop, so it stays in memory; unrolled, it would compile for seconds
  for (var n = 0u; n < params.vectors; n++) {
    let i = min(first + LANES * (n / VECTORS) + lane, queries - 1u);
    load[n] = four(q, q_at + i * params.q_strides.z + n % VECTORS);
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var d = 0u; d < VECTORS; d++) {
      query[r * VECTORS + d] = load[r * VECTORS + d];
      o[r * VECTORS + d] = vec4f();
    }
  }
  var m: array<f32, ROWS>;
  var l: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) { m[r] = LOWEST; l[r] = 0.0; }

  var end = keys;
  if (KEY_MASK) { end = lengths[head]; }
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
    if (KEY_MASK) { key_bits = mask[mask_at + min(j + lane, keys - 1u) * params.mask_strides.w]; }

    for (var n = 0u; n < KEYS; n++) {
      for (var r = 0u; r < ROWS; r++) { s[r * KEYS + n] = 0.0; }
    }
    add_scores(0u); add_scores(1u); add_scores(2u); add_scores(3u); add_scores(4u); add_scores(5u); add_scores(6u); add_scores(7u);
    if (VECTORS > 8u) { add_scores(8u); add_scores(9u); add_scores(10u); add_scores(11u); add_scores(12u); add_scores(13u); add_scores(14u); add_scores(15u); }
    if (VECTORS > 16u) { add_scores(16u); add_scores(17u); add_scores(18u); add_scores(19u); add_scores(20u); add_scores(21u); add_scores(22u); add_scores(23u); }
    if (VECTORS > 24u) { add_scores(24u); add_scores(25u); add_scores(26u); add_scores(27u); add_scores(28u); add_scores(29u); add_scores(30u); add_scores(31u); }

    // p = exp(s − m), in the place of s; what came before shrinks to the new m.
    for (var r = 0u; r < ROWS; r++) {
      let i = first + LANES * r + lane;
      var largest = m[r];
      for (var n = 0u; n < KEYS; n++) {
        var bits = subgroupShuffle(key_bits, n);
        if (MASK > 0u && !KEY_MASK) { bits = mask[mask_at + i * params.mask_strides.z + min(j + n, keys - 1u) * params.mask_strides.w]; }
        var score = s[r * KEYS + n] * params.scale;
        if (POSITIONS) { score += position_score(head, i, j + n); }
        if (MASK == 2u) { score += bitcast<f32>(bits); }
        let visible = j + n < keys && (!BAND || (j + n <= i + params.after && j + n + params.before >= i)) && (MASK == 2u || bits != 0u);
        s[r * KEYS + n] = score + bitcast<f32>(select(MINUS_INFINITY, 0u, visible)); // −∞ leaves NaN as it is
        largest = max(largest, s[r * KEYS + n]);
      }
      shrink[r] = exp_negative(m[r] - largest);
      m[r] = largest;
      var sum = 0.0;
      for (var n = 0u; n < KEYS; n++) {
        s[r * KEYS + n] = exp_negative(s[r * KEYS + n] - largest);
        sum += s[r * KEYS + n];
      }
      l[r] = l[r] * shrink[r] + sum;
      if (DROPOUT) {
        for (var n = 0u; n < KEYS; n += 4u) {
          let keep = kept_four((head * queries + i) * keys + j + n);
          for (var c = 0u; c < 4u; c++) { s[r * KEYS + n + c] = select(0.0, s[r * KEYS + n + c], keep[c]); }
        }
      }
      if (F16) {
        for (var n = 0u; n < KEYS; n++) { s[r * KEYS + n] = quantizeToF16(s[r * KEYS + n]); }
      }
    }

    add_values(0u); add_values(1u); add_values(2u); add_values(3u); add_values(4u); add_values(5u); add_values(6u); add_values(7u);
    if (VECTORS > 8u) { add_values(8u); add_values(9u); add_values(10u); add_values(11u); add_values(12u); add_values(13u); add_values(14u); add_values(15u); }
    if (VECTORS > 16u) { add_values(16u); add_values(17u); add_values(18u); add_values(19u); add_values(20u); add_values(21u); add_values(22u); add_values(23u); }
    if (VECTORS > 24u) { add_values(24u); add_values(25u); add_values(26u); add_values(27u); add_values(28u); add_values(29u); add_values(30u); add_values(31u); }
  }

  var store: array<vec4f, ROWS * VECTORS>; // likewise in memory
  for (var r = 0u; r < ROWS; r++) {
    let i = first + LANES * r + lane;
    let norm = select(1.0 / l[r], 0.0, bitcast<u32>(l[r]) == 0u) * params.rescale; // a query that sees no key gets 0
    for (var d = 0u; d < VECTORS; d++) { store[r * VECTORS + d] = o[r * VECTORS + d] * norm; }
    if (i < queries) { stats[head * queries + i] = vec2f(m[r], l[r]); }
  }
  for (var n = 0u; n < params.vectors; n++) {
    let i = first + LANES * (n / VECTORS) + lane;
    if (i < queries) { y[q_at + i * params.q_strides.z + n % VECTORS] = store[n]; }
  }
}

// Four numbers of a tensor, by their place among its vec4s.
fn four(image: texture_storage_2d<rgba32float, read>, at: u32) -> vec4f { return rounded(textureLoad(image, vec2u(at % WIDTH, at / WIDTH))); }

fn rounded(x: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(x); }
  return x;
}

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
