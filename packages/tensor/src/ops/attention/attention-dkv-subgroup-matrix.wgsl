// dk and dv of attention by a GPU's matrix units: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-tiled.wgsl.
//
// The mirror image of dq: a subgroup owns MATRIX keys of one head, and the queries go by in tiles. Scores are made with queries as rows, so that
// neighbours in a row are keys, and one block of random numbers serves four: q kᵀ, dy vᵀ. The sums pᵀ dy and dsᵀ q load p and ds transposed.
// Mapping: a workgroup has SUBGROUPS · MATRIX keys; invocation n makes p and ds of query n / EACH of a tile. No atomics.
// Traffic: dk, dv, k and v once; q and dy once per workgroup.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // `subgroup` is one number for a subgroup, which WGSL can't know

const MATRIX = 16u;       // what one instruction multiplies: MATRIX × MATRIX by the same
const INVOCATIONS = 128u; // for each subgroup as many as it has lanes here at most
const VECTORS = 16u;      // D / 4: D is a multiple of MATRIX, and at most four times as much
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so rows.w says where it ends
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override F16: bool = true;       // factors are f16 always

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
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;    // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<vec4f>;    // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<vec4f>;    // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;   // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dk: array<vec4f>; // like k
@group(0) @binding(7) var<storage, read_write> dv: array<vec4f>; // like k
@group(0) @binding(8) var<uniform> params: Params;

alias Left = subgroup_matrix_left<f16, MATRIX, MATRIX>;
alias Right = subgroup_matrix_right<f16, MATRIX, MATRIX>;
alias Sums = subgroup_matrix_result<f32, MATRIX, MATRIX>;

const SUBGROUPS = 4u;
const ROWS = SUBGROUPS * MATRIX; // keys of a workgroup
const QUERIES = 2u * MATRIX;     // queries in a tile
const BLOCKS = 4u * VECTORS / MATRIX; // matrices of a subgroup's sums
const EACH = INVOCATIONS / QUERIES; // invocations that share a row of scores
const FOURS = ROWS / 4u / EACH;  // vec4s of it that each has

// Workgroup memory is made of strips of MATRIX lines. Lines, in vec4s, are two longer than they need to be, against bank conflicts.
const LINE = VECTORS + 2u;
const SCORE_LINE = ROWS / 4u + 2u;
const OUT_LINE = MATRIX / 4u + 2u;
var<workgroup> key: array<array<vec4<f16>, MATRIX * LINE>, SUBGROUPS>;
var<workgroup> value: array<array<vec4<f16>, MATRIX * LINE>, SUBGROUPS>;
var<workgroup> query: array<array<vec4<f16>, MATRIX * LINE>, 2>;
var<workgroup> upstream: array<array<vec4<f16>, MATRIX * LINE>, 2>; // dy
var<workgroup> scores: array<array<vec4f, MATRIX * SCORE_LINE>, 2>; // s, then dp; in the end a matrix of the sums of each subgroup, two in a strip
var<workgroup> weights: array<array<vec4<f16>, MATRIX * SCORE_LINE>, 2>;   // p
var<workgroup> gradients: array<array<vec4<f16>, MATRIX * SCORE_LINE>, 2>; // ds

// What the tile's queries have in common with the subgroup's keys, to `scores`: q kᵀ, or dy vᵀ.
fn key_products(of_values: bool, subgroup: u32) {
  var s0 = Sums();
  var s1 = Sums();
  for (var d = 0u; d < VECTORS; d += MATRIX / 4u) {
    if (of_values) {
      let right = subgroupMatrixLoad<Right, col_major>(&value[subgroup], d, LINE);
      s0 = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&upstream[0], d, LINE), right, s0);
      s1 = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&upstream[1], d, LINE), right, s1);
    } else {
      let right = subgroupMatrixLoad<Right, col_major>(&key[subgroup], d, LINE);
      s0 = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&query[0], d, LINE), right, s0);
      s1 = subgroupMatrixMultiplyAccumulate(subgroupMatrixLoad<Left, row_major>(&query[1], d, LINE), right, s1);
    }
  }
  let mine = min(subgroup, SUBGROUPS - 1u) * (MATRIX / 4u);
  subgroupMatrixStore<row_major>(&scores[0], mine, s0, SCORE_LINE);
  subgroupMatrixStore<row_major>(&scores[1], mine, s1, SCORE_LINE);
}

// sums + pᵀ dy for the subgroup's keys, in block b of D.
fn add_upstream(sums: Sums, b: u32, subgroup: u32) -> Sums {
  var result = sums;
  for (var i = 0u; i < 2u; i++) {
    let left = subgroupMatrixLoad<Left, col_major>(&weights[i], min(subgroup, SUBGROUPS - 1u) * (MATRIX / 4u), SCORE_LINE);
    let right = subgroupMatrixLoad<Right, row_major>(&upstream[i], b * MATRIX / 4u, LINE);
    result = subgroupMatrixMultiplyAccumulate(left, right, result);
  }
  return result;
}

// sums + dsᵀ q, likewise.
fn add_queries(sums: Sums, b: u32, subgroup: u32) -> Sums {
  var result = sums;
  for (var i = 0u; i < 2u; i++) {
    let left = subgroupMatrixLoad<Left, col_major>(&gradients[i], min(subgroup, SUBGROUPS - 1u) * (MATRIX / 4u), SCORE_LINE);
    let right = subgroupMatrixLoad<Right, row_major>(&query[i], b * MATRIX / 4u, LINE);
    result = subgroupMatrixMultiplyAccumulate(left, right, result);
  }
  return result;
}

// Writes block b of dk and dv.
fn write(key_sums: Sums, value_sums: Sums, b: u32, subgroup: u32, me: u32, k_at: u32, first: u32) {
  for (var which = 0u; which < 2u; which++) {
    workgroupBarrier(); // what is there has been read
    if (subgroup < SUBGROUPS) {
      let place = subgroup % 2u * MATRIX * OUT_LINE;
      if (which == 0u) { subgroupMatrixStore<row_major>(&scores[subgroup / 2u], place, key_sums, OUT_LINE); }
      else { subgroupMatrixStore<row_major>(&scores[subgroup / 2u], place, value_sums, OUT_LINE); }
    }
    workgroupBarrier(); // a block of each subgroup is there
    for (var n = me; n < ROWS * MATRIX / 4u; n += INVOCATIONS) {
      let row = n / (MATRIX / 4u);
      let d = n % (MATRIX / 4u);
      if (first + row < params.k_strides.w) {
        let four = scores[row / (2u * MATRIX)][row % (2u * MATRIX) * OUT_LINE + d];
        let to = k_at + (first + row) * params.k_strides.z + b * MATRIX / 4u + d;
        if (which == 0u) { dk[to] = four * params.scale; } else { dv[to] = four; }
      }
    }
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) me: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let tiles = (keys + ROWS - 1u) / ROWS;
  let index = group.x + group.y * workgroups.x;
  let kv_head = index / tiles; // of B · heads
  if (kv_head >= params.batch_heads) { return; } // the launch may be a few workgroups too many
  let first = (index % tiles) * ROWS;
  let at = vec2u(kv_head / params.heads, kv_head % params.heads);
  let k_at = dot(at, params.k_strides.xy);
  let row = me / EACH; // of the scores that this invocation has a share of

  for (var n = me; n < ROWS * VECTORS; n += INVOCATIONS) {
    let line = n / VECTORS;
    var k4 = vec4f();
    var v4 = vec4f();
    if (first + line < keys) {
      let place = k_at + (first + line) * params.k_strides.z + n % VECTORS;
      k4 = k[place];
      v4 = v[place];
    }
    key[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(k4);
    value[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(v4);
  }

  var key_sum0 = Sums();
  var key_sum1 = Sums();
  var key_sum2 = Sums();
  var key_sum3 = Sums();
  var value_sum0 = Sums();
  var value_sum1 = Sums();
  var value_sum2 = Sums();
  var value_sum3 = Sums();

  var start = 0u;
  var stop = queries;
  if (BAND) { // queries that see no key of this workgroup are skipped
    start = first - min(first, params.after);
    stop = min(stop, first + ROWS + params.before);
  }
  for (var g = 0u; g < params.group; g++) { // over the heads of q that these keys serve, one after the other
    let head = kv_head * params.group + g; // of B · H
    let q_from = vec2u(at.x, at.y * params.group + g);
    let q_at = dot(q_from, params.q_strides.xy);
    let mask_at = dot(q_from, params.mask_strides.xy);
    var from_query = start;
    if (KEY_MASK) { from_query = select(start, stop, first >= u32(rows[head * queries].w)); } // no query sees any of these keys
    for (var i0 = from_query; i0 < stop; i0 += QUERIES) {
      workgroupBarrier(); // nobody reads the tile any more
      for (var n = me; n < QUERIES * VECTORS; n += INVOCATIONS) {
        let line = n / VECTORS;
        var q4 = vec4f();
        var dy4 = vec4f();
        if (i0 + line < queries) {
          let place = q_at + (i0 + line) * params.q_strides.z + n % VECTORS;
          q4 = q[place];
          dy4 = dy[place];
        }
        query[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(q4);
        upstream[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(dy4);
      }
      let i = i0 + row;
      var saved = vec4f(); // of a query beyond the last 1 / l is 0, so p = 0
      if (i < queries) { saved = rows[head * queries + i]; }
      workgroupBarrier(); // k, v, q and dy are there
      if (subgroup < SUBGROUPS) { key_products(false, subgroup); }
      workgroupBarrier(); // s is there
      var p = array<vec4f, FOURS>();
      for (var n = 0u; n < FOURS; n++) {
        let four = n * EACH + me % EACH;
        let j = first + 4u * four;
        if (i < queries) { // what a mask has beyond the last may be NaN
          let bits = mask_bits(mask_at, i, j);
          let score = scores[row / MATRIX][row % MATRIX * SCORE_LINE + four] * params.scale + bias(bits);
          p[n] = select(vec4f(), exp_negative(at_most_zero(score - saved.x)), sees(i, j, bits)) * saved.y; // 1 / l may be NaN
        }
      }
      workgroupBarrier(); // s has been read
      if (subgroup < SUBGROUPS) { key_products(true, subgroup); }
      workgroupBarrier(); // dp is there
      for (var n = 0u; n < FOURS; n++) {
        let four = n * EACH + me % EACH;
        let dp = scores[row / MATRIX][row % MATRIX * SCORE_LINE + four];
        var keep = vec4f(1.0);
        if (DROPOUT) { keep = select(vec4f(), vec4f(params.rescale), kept_four((head * queries + i) * keys + first + 4u * four)); }
        weights[row / MATRIX][row % MATRIX * SCORE_LINE + four] = vec4<f16>(p[n] * keep);
        gradients[row / MATRIX][row % MATRIX * SCORE_LINE + four] = vec4<f16>(p[n] * (dp * keep - saved.z));
      }
      workgroupBarrier(); // p and ds are there
      if (subgroup < SUBGROUPS) {
        value_sum0 = add_upstream(value_sum0, 0u, subgroup);
        if (BLOCKS > 1u) { value_sum1 = add_upstream(value_sum1, 1u, subgroup); }
        if (BLOCKS > 2u) { value_sum2 = add_upstream(value_sum2, 2u, subgroup); }
        if (BLOCKS > 3u) { value_sum3 = add_upstream(value_sum3, 3u, subgroup); }
        key_sum0 = add_queries(key_sum0, 0u, subgroup);
        if (BLOCKS > 1u) { key_sum1 = add_queries(key_sum1, 1u, subgroup); }
        if (BLOCKS > 2u) { key_sum2 = add_queries(key_sum2, 2u, subgroup); }
        if (BLOCKS > 3u) { key_sum3 = add_queries(key_sum3, 3u, subgroup); }
      }
    }
  }

  write(key_sum0, value_sum0, 0u, subgroup, me, k_at, first);
  if (BLOCKS > 1u) { write(key_sum1, value_sum1, 1u, subgroup, me, k_at, first); }
  if (BLOCKS > 2u) { write(key_sum2, value_sum2, 2u, subgroup, me, k_at, first); }
  if (BLOCKS > 3u) { write(key_sum3, value_sum3, 3u, subgroup, me, k_at, first); }
}

// The mask of query i and the keys j … j+3, or all ones; beyond the last key, which is not visible, that of the last.
fn mask_bits(first: u32, i: u32, j: u32) -> vec4u {
  if (MASK == 0u) { return vec4u(1u); }
  let row = first + select(i * params.mask_strides.z, 0u, KEY_MASK);
  let at = row + min(vec4u(j, j + 1u, j + 2u, j + 3u), vec4u(params.k_strides.w - 1u)) * params.mask_strides.w;
  return vec4u(mask[at.x], mask[at.y], mask[at.z], mask[at.w]);
}

// Which of the keys j … j+3 query i sees, whatever an additive mask says.
fn sees(i: u32, j: u32, bits: vec4u) -> vec4<bool> {
  let key = vec4u(j, j + 1u, j + 2u, j + 3u);
  var end = params.k_strides.w;
  var start = 0u;
  if (BAND) { start = i - min(i, params.before); end = min(end, i + params.after + 1u); }
  return (key >= vec4u(start)) & (key < vec4u(end)) & (vec4<bool>(MASK == 2u) | (bits != vec4u()));
}

// What an additive mask adds.
fn bias(bits: vec4u) -> vec4f {
  return select(vec4f(), bitcast<vec4f>(bits), MASK == 2u);
}

// min(x, 0), but NaN of NaN, which WGSL's min may drop.
fn at_most_zero(x: vec4f) -> vec4f { return 0.5 * (x - abs(x)); }

// exp(x) for x ≤ 0 to the last bit or so; WGSL's own may be 3 + 2 |x| units off. x = n ln 2 + r, so exp(x) = 2^n exp(r), |r| ≤ ln 2 / 2.
fn exp_negative(x: vec4f) -> vec4f {
  let n = round(max(x, vec4f(-87.0)) * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4; // ln 2 in two pieces: the first times n is exact
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
  let vanishes = bitcast<vec4u>(x) - 0xc2ae0000u <= vec4u(0x3cd20000u); // −87 … −∞, by the bits: NaN is to stay NaN
  return select(series * bitcast<vec4f>((vec4i(n) + 127) << vec4u(23u)), vec4f(), vanishes);
}

// Which of the elements e … e+3 of [B, H, Tq, Tk] dropout keeps: kept.wgsl has the kept_four() that draws.
fn kept_four(e: u32) -> vec4<bool> { return vec4<bool>(true); }
