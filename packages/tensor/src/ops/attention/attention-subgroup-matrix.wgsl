// y = softmax(q kᵀ scale + mask) v by a GPU's matrix units: factors rounded to f16, sums in f32. Tiles as in attention-tiled.wgsl.
//
// A subgroup owns MATRIX queries and multiplies whole matrices: their scores with the keys of a tile, then p v. Elements of a matrix have no index, so
// scores go through workgroup memory, where p is made of them. The sums o stay in the matrices: were they to shrink whenever m grows, they
// would go through workgroup memory for each tile. So p = exp(s − base), where base is the m of some tile before; only when m is more
// than GROWTH larger is it raised, which after the first tile nearly never happens. y is the same: o and l are divided at the end.
// Mapping: a workgroup has SUBGROUPS · MATRIX queries; invocation n makes p of query n / EACH. Where subgroups have fewer lanes than the adapter
// has at most, there are more of them than needed, and some only copy.
// Traffic: y and q once; k and v once per workgroup.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // `subgroup` is one number for a subgroup, which WGSL can't know

const MATRIX = 16u;       // what one instruction multiplies: MATRIX × MATRIX by the same
const INVOCATIONS = 128u; // for each subgroup as many as it has lanes here at most
const VECTORS = 16u;      // D / 4: D is a multiple of MATRIX, and at most four times as much
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `lengths` says where it ends
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

@group(0) @binding(0) var<storage, read> q: array<vec4f>;           // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<vec4f>;           // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<vec4f>;           // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;          // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> lengths: array<u32>;       // [B, H]: keys worth looking at
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;     // like q
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(7) var<uniform> params: Params;

alias Left = subgroup_matrix_left<f16, MATRIX, MATRIX>;
alias Right = subgroup_matrix_right<f16, MATRIX, MATRIX>;
alias Sums = subgroup_matrix_result<f32, MATRIX, MATRIX>;

const LOWEST = -3.4028234663852886e38;
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite
const GROWTH = 8.0; // p is at most e^8, which f16 holds
const SUBGROUPS = 4u;
const ROWS = SUBGROUPS * MATRIX; // queries of a workgroup
const KEYS = 2u * MATRIX;        // keys in a tile
const D = 4u * VECTORS;
const BLOCKS = D / MATRIX;       // matrices of a subgroup's sums
const EACH = INVOCATIONS / ROWS; // invocations that share a row of scores
const FOURS = KEYS / 4u / EACH;  // vec4s of it that each has

// Workgroup memory is made of strips of MATRIX lines. Lines, in vec4s, are two longer than they need to be, against bank conflicts.
const LINE = VECTORS + 2u;
const SCORE_LINE = KEYS / 4u + 2u;
var<workgroup> query: array<array<vec4<f16>, MATRIX * LINE>, SUBGROUPS>;
var<workgroup> tile: array<array<vec4<f16>, MATRIX * LINE>, 2>; // of k, then of v
var<workgroup> scores: array<array<vec4f, MATRIX * SCORE_LINE>, SUBGROUPS>; // then a matrix of the sums of each subgroup
var<workgroup> weights: array<array<vec4<f16>, MATRIX * SCORE_LINE>, SUBGROUPS>; // p
var<workgroup> parts: array<f32, INVOCATIONS>; // what an invocation knows of its query
var<workgroup> raised: atomic<u32>;            // whether a base was raised

// Tile of k or v, from key `first` on; beyond the last key 0.
fn copy_tile(of_values: bool, at: u32, first: u32, me: u32) {
  for (var n = me; n < KEYS * VECTORS; n += INVOCATIONS) {
    let row = n / VECTORS;
    var four = vec4f();
    if (first + row < params.k_strides.w) {
      let place = at + (first + row) * params.k_strides.z + n % VECTORS;
      if (of_values) { four = v[place]; } else { four = k[place]; }
    }
    tile[row / MATRIX][row % MATRIX * LINE + n % VECTORS] = vec4<f16>(four);
  }
}

// sums + p v for the subgroup's queries, in block b of D.
fn add_values(sums: Sums, b: u32, subgroup: u32) -> Sums {
  var result = sums;
  for (var j = 0u; j < 2u; j++) {
    let left = subgroupMatrixLoad<Left, row_major>(&weights[subgroup], j * MATRIX / 4u, SCORE_LINE);
    let right = subgroupMatrixLoad<Right, row_major>(&tile[j], b * MATRIX / 4u, LINE);
    result = subgroupMatrixMultiplyAccumulate(left, right, result);
  }
  return result;
}

// The sums of block b, each query's times `shrink`, of which an invocation has that of its own query.
fn shrunk(sums: Sums, subgroup: u32, me: u32, shrink: f32) -> Sums {
  workgroupBarrier(); // the scores, or the block before, have been read
  if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&scores[subgroup], 0u, sums, SCORE_LINE); }
  workgroupBarrier(); // a block of each subgroup is there
  let row = me / EACH;
  for (var n = me % EACH; n < MATRIX / 4u; n += EACH) { scores[row / MATRIX][row % MATRIX * SCORE_LINE + n] *= shrink; }
  workgroupBarrier(); // and has shrunk
  var result = sums;
  if (subgroup < SUBGROUPS) { result = subgroupMatrixLoad<Sums, row_major>(&scores[subgroup], 0u, SCORE_LINE); }
  return result;
}

// Writes block b of y: the sums, each query's times `norm`.
fn write(sums: Sums, b: u32, subgroup: u32, me: u32, norm: f32, y_at: u32, inside: bool) {
  workgroupBarrier(); // the block before has been read
  if (subgroup < SUBGROUPS) { subgroupMatrixStore<row_major>(&scores[subgroup], 0u, sums, SCORE_LINE); }
  workgroupBarrier(); // a block of each subgroup is there
  let row = me / EACH;
  if (inside) {
    for (var n = me % EACH; n < MATRIX / 4u; n += EACH) { y[y_at + b * MATRIX / 4u + n] = scores[row / MATRIX][row % MATRIX * SCORE_LINE + n] * norm; }
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

  for (var n = me; n < ROWS * VECTORS; n += INVOCATIONS) {
    let line = n / VECTORS;
    var four = vec4f();
    if (first + line < queries) { four = q[q_at + (first + line) * params.q_strides.z + n % VECTORS]; }
    query[line / MATRIX][line % MATRIX * LINE + n % VECTORS] = vec4<f16>(four);
  }

  var o0 = Sums();
  var o1 = Sums();
  var o2 = Sums();
  var o3 = Sums();
  var m = LOWEST;    // the query's largest score, the same in all that share it
  var base = LOWEST; // what p is made relative to
  var l = 0.0;       // Σ p of this invocation's keys

  var start = 0u;
  var end = keys;
  if (KEY_MASK) { end = lengths[head]; }
  if (BAND) { // what no query of this workgroup sees is skipped
    start = first - min(first, params.before);
    start -= start % KEYS;
    end = min(end, first + ROWS + params.after);
  }
  for (var j0 = start; j0 < end; j0 += KEYS) {
    workgroupBarrier(); // nobody reads the tile or the weights any more
    copy_tile(false, k_at, j0, me);
    if (me == 0u) { atomicStore(&raised, 0u); }
    workgroupBarrier(); // q and k are there
    if (subgroup < SUBGROUPS) {
      var s0 = Sums();
      var s1 = Sums();
      for (var d = 0u; d < VECTORS; d += MATRIX / 4u) {
        let left = subgroupMatrixLoad<Left, row_major>(&query[subgroup], d, LINE);
        let right0 = subgroupMatrixLoad<Right, col_major>(&tile[0], d, LINE);
        let right1 = subgroupMatrixLoad<Right, col_major>(&tile[1], d, LINE);
        s0 = subgroupMatrixMultiplyAccumulate(left, right0, s0);
        s1 = subgroupMatrixMultiplyAccumulate(left, right1, s1);
      }
      subgroupMatrixStore<row_major>(&scores[subgroup], 0u, s0, SCORE_LINE);
      subgroupMatrixStore<row_major>(&scores[subgroup], MATRIX / 4u, s1, SCORE_LINE);
    }
    workgroupBarrier(); // scores are there, and k has been read
    copy_tile(true, k_at, j0, me);

    var s: array<vec4f, FOURS>;
    var largest = m;
    for (var n = 0u; n < FOURS; n++) {
      let four = n * EACH + me % EACH;
      let j = j0 + 4u * four;
      let bits = mask_bits(mask_at, i, j);
      let hide = bitcast<vec4f>(select(vec4u(MINUS_INFINITY), vec4u(), sees(i, j, bits))); // −∞ leaves NaN as it is
      s[n] = scores[row / MATRIX][row % MATRIX * SCORE_LINE + four] * params.scale + bias(bits) + hide;
      largest = max(max(largest, max(s[n].x, s[n].y)), max(s[n].z, s[n].w));
    }
    parts[me] = largest;
    workgroupBarrier(); // all that share a query have written their largest score
    for (var n = 0u; n < EACH; n++) { largest = max(largest, parts[row * EACH + n]); }
    m = largest;
    var shrink = 1.0;
    if (m > base + GROWTH) {
      shrink = exp_negative(vec4f(base - m)).x;
      base = m;
      atomicStore(&raised, 1u);
    }
    l *= shrink;
    for (var n = 0u; n < FOURS; n++) {
      let four = n * EACH + me % EACH;
      var p = exp_negative(s[n] - base);
      l += (p.x + p.y) + (p.z + p.w);
      if (DROPOUT) { p = select(vec4f(), p, kept_four((head * queries + i) * keys + j0 + 4u * four)); }
      weights[row / MATRIX][row % MATRIX * SCORE_LINE + four] = vec4<f16>(p);
    }
    if (workgroupUniformLoad(&raised) != 0u) {
      o0 = shrunk(o0, subgroup, me, shrink);
      if (BLOCKS > 1u) { o1 = shrunk(o1, subgroup, me, shrink); }
      if (BLOCKS > 2u) { o2 = shrunk(o2, subgroup, me, shrink); }
      if (BLOCKS > 3u) { o3 = shrunk(o3, subgroup, me, shrink); }
    }
    workgroupBarrier(); // p and v are there
    if (subgroup < SUBGROUPS) {
      o0 = add_values(o0, 0u, subgroup);
      if (BLOCKS > 1u) { o1 = add_values(o1, 1u, subgroup); }
      if (BLOCKS > 2u) { o2 = add_values(o2, 2u, subgroup); }
      if (BLOCKS > 3u) { o3 = add_values(o3, 3u, subgroup); }
    }
  }

  parts[me] = l;
  workgroupBarrier(); // all sums are there
  l = 0.0;
  for (var n = 0u; n < EACH; n++) { l += parts[row * EACH + n]; }
  let norm = select(1.0 / l, 0.0, bitcast<u32>(l) == 0u) * params.rescale; // a query that sees no key gets 0
  let y_at = q_at + i * params.q_strides.z;
  let inside = i < queries;
  write(o0, 0u, subgroup, me, norm, y_at, inside);
  if (BLOCKS > 1u) { write(o1, 1u, subgroup, me, norm, y_at, inside); }
  if (BLOCKS > 2u) { write(o2, 2u, subgroup, me, norm, y_at, inside); }
  if (BLOCKS > 3u) { write(o3, 3u, subgroup, me, norm, y_at, inside); }
  if (inside && me % EACH == 0u) { stats[head * queries + i] = vec2f(m, l * exp_negative(vec4f(base - m)).x); } // l relative to m
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
