// dq of attention by a GPU's matrix units: dq_i = scale Σ_j ds_ij k_j, with p and ds as in attention-dq-tiled.wgsl. Factors are rounded to f16, sums are f32.
//
// A subgroup owns MATRIX queries and multiplies whole matrices: q kᵀ, dy vᵀ, ds k. Elements of a matrix have no index, so s goes through
// workgroup memory, then dp, then ds.
// Mapping: as in attention-subgroup-matrix.wgsl. Nobody else adds to these rows of dq: no atomics.
// Traffic: dq, q and dy once; k and v once per workgroup.
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
  batch_heads: u32, // B · H
  heads: u32,       // H
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
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>; // like q
@group(0) @binding(7) var<uniform> params: Params;

alias Left = subgroup_matrix_left<f16, MATRIX, MATRIX>;
alias Right = subgroup_matrix_right<f16, MATRIX, MATRIX>;
alias Sums = subgroup_matrix_result<f32, MATRIX, MATRIX>;

const SUBGROUPS = 4u;
const ROWS = SUBGROUPS * MATRIX; // queries of a workgroup
const KEYS = 2u * MATRIX;        // keys in a tile
const BLOCKS = 4u * VECTORS / MATRIX; // matrices of a subgroup's sums
const EACH = INVOCATIONS / ROWS; // invocations that share a row of scores
const FOURS = KEYS / 4u / EACH;  // vec4s of it that each has

// Workgroup memory is made of strips of MATRIX lines. Lines, in vec4s, are two longer than they need to be, against bank conflicts.
const LINE = VECTORS + 2u;
const SCORE_LINE = KEYS / 4u + 2u;
var<workgroup> query: array<array<vec4<f16>, MATRIX * LINE>, SUBGROUPS>;
var<workgroup> upstream: array<array<vec4<f16>, MATRIX * LINE>, SUBGROUPS>; // dy
var<workgroup> key: array<array<vec4<f16>, MATRIX * LINE>, 2>;
var<workgroup> value: array<array<vec4<f16>, MATRIX * LINE>, 2>;
var<workgroup> scores: array<array<vec4f, MATRIX * SCORE_LINE>, SUBGROUPS>; // s, then dp; in the end a matrix of the sums of each subgroup
var<workgroup> weights: array<array<vec4<f16>, MATRIX * SCORE_LINE>, SUBGROUPS>; // ds

// What the subgroup's queries have in common with the tile's keys, to `scores`: q kᵀ, or dy vᵀ.
fn query_products(of_values: bool, subgroup: u32) {
  var s0 = Sums();
  var s1 = Sums();
  for (var d = 0u; d < VECTORS; d += MATRIX / 4u) {
    if (of_values) {
      let left = subgroupMatrixLoad<Left, row_major>(&upstream[subgroup], d, LINE);
      s0 = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, col_major>(&value[0], d, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, col_major>(&value[1], d, LINE), s1);
    } else {
      let left = subgroupMatrixLoad<Left, row_major>(&query[subgroup], d, LINE);
      s0 = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, col_major>(&key[0], d, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(left, subgroupMatrixLoad<Right, col_major>(&key[1], d, LINE), s1);
    }
  }
  subgroupMatrixStore<row_major>(&scores[subgroup], 0u, s0, SCORE_LINE);
  subgroupMatrixStore<row_major>(&scores[subgroup], MATRIX / 4u, s1, SCORE_LINE);
}

// sums + ds k for the subgroup's queries, in block b of D.
fn add_keys(sums: Sums, b: u32, subgroup: u32) -> Sums {
  var result = sums;
  for (var j = 0u; j < 2u; j++) {
    let left = subgroupMatrixLoad<Left, row_major>(&weights[subgroup], j * MATRIX / 4u, SCORE_LINE);
    let right = subgroupMatrixLoad<Right, row_major>(&key[j], b * MATRIX / 4u, LINE);
    result = subgroupMatrixMultiplyAccumulate(left, right, result);
  }
  return result;
}

// Writes block b of dq.
fn write(sums: Sums, b: u32, subgroup: u32, me: u32, dq_at: u32, inside: bool) {
  workgroupBarrier(); // the block before has been read
  if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&scores[subgroup], 0u, sums, SCORE_LINE); }
  workgroupBarrier(); // a block of each subgroup is there
  let row = me / EACH;
  if (inside) {
    for (var n = me % EACH; n < MATRIX / 4u; n += EACH) { dq[dq_at + b * MATRIX / 4u + n] = scores[row / MATRIX][row % MATRIX * SCORE_LINE + n] * params.scale; }
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
  let tiles = (queries + ROWS - 1u) / ROWS;
  let index = group.x + group.y * workgroups.x;
  let head = index / tiles; // of B · H
  if (head >= params.batch_heads) { return; } // the launch may be a few workgroups too many
  let first = (index % tiles) * ROWS;
  let at = vec2u(head / params.heads, head % params.heads);
  let q_at = dot(at, params.q_strides.xy);
  let k_at = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let mask_at = dot(at, params.mask_strides.xy);
  let row = me / EACH; // of the scores that this invocation has a share of: that of query i
  let i = first + row;
  let inside = i < queries;
  var saved = vec4f(); // of a query beyond the last 1 / l is 0, so p = 0
  if (inside) { saved = rows[head * queries + i]; }

  for (var n = me; n < ROWS * VECTORS; n += INVOCATIONS) {
    let line = n / VECTORS;
    var q4 = vec4f();
    var dy4 = vec4f();
    if (first + line < queries) {
      let place = q_at + (first + line) * params.q_strides.z + n % VECTORS;
      q4 = q[place];
      dy4 = dy[place];
    }
    query[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(q4);
    upstream[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(dy4);
  }

  var sum0 = Sums();
  var sum1 = Sums();
  var sum2 = Sums();
  var sum3 = Sums();

  var end = keys;
  if (KEY_MASK) { end = u32(rows[head * queries].w); }
  var start = 0u;
  if (BAND) { // what no query of this workgroup sees is skipped
    start = first - min(first, params.before);
    start -= start % KEYS;
    end = min(end, first + ROWS + params.after);
  }
  for (var j0 = start; j0 < end; j0 += KEYS) {
    workgroupBarrier(); // nobody reads the tile any more
    for (var n = me; n < KEYS * VECTORS; n += INVOCATIONS) {
      let line = n / VECTORS;
      var k4 = vec4f();
      var v4 = vec4f();
      if (j0 + line < keys) {
        let place = k_at + (j0 + line) * params.k_strides.z + n % VECTORS;
        k4 = k[place];
        v4 = v[place];
      }
      key[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(k4);
      value[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(v4);
    }
    workgroupBarrier(); // q, dy, k and v are there
    if (subgroup < SUBGROUPS) { query_products(false, subgroup); }
    workgroupBarrier(); // s is there
    var p: array<vec4f, FOURS>;
    for (var n = 0u; n < FOURS; n++) {
      let four = n * EACH + me % EACH;
      let j = j0 + 4u * four;
      let bits = mask_bits(mask_at, i, j);
      let score = scores[row / MATRIX][row % MATRIX * SCORE_LINE + four] * params.scale + bias(bits);
      p[n] = select(vec4f(), exp_negative(at_most_zero(score - saved.x)), sees(i, j, bits)) * saved.y; // 1 / l may be NaN
    }
    workgroupBarrier(); // s has been read
    if (subgroup < SUBGROUPS) { query_products(true, subgroup); }
    workgroupBarrier(); // dp is there
    for (var n = 0u; n < FOURS; n++) {
      let four = n * EACH + me % EACH;
      var dp = scores[row / MATRIX][row % MATRIX * SCORE_LINE + four];
      if (DROPOUT) { dp = select(vec4f(), dp * params.rescale, kept_four((head * queries + i) * keys + j0 + 4u * four)); }
      weights[row / MATRIX][row % MATRIX * SCORE_LINE + four] = vec4<f16>(p[n] * (dp - saved.z));
    }
    workgroupBarrier(); // ds is there
    if (subgroup < SUBGROUPS) {
      sum0 = add_keys(sum0, 0u, subgroup);
      if (BLOCKS > 1u) { sum1 = add_keys(sum1, 1u, subgroup); }
      if (BLOCKS > 2u) { sum2 = add_keys(sum2, 2u, subgroup); }
      if (BLOCKS > 3u) { sum3 = add_keys(sum3, 3u, subgroup); }
    }
  }

  let dq_at = q_at + i * params.q_strides.z;
  write(sum0, 0u, subgroup, me, dq_at, inside);
  if (BLOCKS > 1u) { write(sum1, 1u, subgroup, me, dq_at, inside); }
  if (BLOCKS > 2u) { write(sum2, 2u, subgroup, me, dq_at, inside); }
  if (BLOCKS > 3u) { write(sum3, 3u, subgroup, me, dq_at, inside); }
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
