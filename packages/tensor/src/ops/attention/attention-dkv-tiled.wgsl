// dk and dv of attention: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-tiled.wgsl. For any adapter; meant for GPUs.
//
// The mirror image of dq: a workgroup owns 64 keys of one head, and the queries go by in tiles. p is computed again here as well: two
// kernels that each own their rows need no atomics, so sums are made in the same order every time.
// Mapping, tiles and blocks: as in attention-tiled.wgsl, with queries and keys in each other's place. Four products share `left` and
// `right`: k qᵀ, v dyᵀ, pᵀ dy, dsᵀ q. The keys of a block are neighbours in a row of p, so that one block of random numbers serves four.
// Traffic: dk and dv once; q and dy twice per 64 keys; k and v once per 64 queries, from cache.
const VECTORS = 16u; // D / 4
const OWN = 2u;      // vec4s of a row of the result that an invocation adds up: OWN · 8 ≥ VECTORS
const DEPTH = 8u;    // vec4s of a row in workgroup memory at a time: at most 8
const RUNS = 2u;     // 4 × 4 blocks of scores that an invocation holds; a tile has RUNS · 32 queries
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so rows.w says where it ends
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override F16: bool = false;      // round the factors of products to f16, as mixed precision does
override UNROLL: bool = true;    // long bodies too: CPU drivers take minutes to compile what comes of it

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
  one: u32,         // 1, where the compiler can't see it
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

const ROWS = 64u;        // keys of a workgroup
const QUERIES = RUNS * 32u; // queries in a tile
const THREADS = 128u;
const LINE = 9u;
const SPREAD = RUNS * 8u; // for queries; for keys 16
var<workgroup> left: array<vec4f, ROWS * LINE>;                       // part of k or v, then p or ds of 32 queries
var<workgroup> right: array<vec4f, max(QUERIES * LINE, 32u * OWN * 8u)>; // part of q or dy, then 32 rows of them

@compute @workgroup_size(8, 16)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let tiles = (keys + ROWS - 1u) / ROWS;
  let index = group.x + group.y * workgroups.x;
  let kv_head = index / tiles; // of B · heads
  if (kv_head >= params.batch_heads) { return; } // the launch may be a few workgroups too many
  let first = (index % tiles) * ROWS;
  var one = 1u; // The loops of the products do without: a literal bound lets WGSL's compiler prove that indices are inside.
  if (!UNROLL) { one = params.one; }
  let at = vec2u(kv_head / params.heads, kv_head % params.heads);
  let k_at = dot(at, params.k_strides.xy);

  var key_sum = array<mat4x4f, OWN>(); // column r belongs to key 4 y + r, as everywhere
  var value_sum = array<mat4x4f, OWN>();
  let j = first + local.y * 4u;

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
    for (var tile = from_query; tile < stop; tile += QUERIES) {
      var p = array<mat4x4f, RUNS>();
      var ds = array<mat4x4f, RUNS>();
      for (var d = 0u; d < VECTORS; d += DEPTH * one) {
        workgroupBarrier(); // all have read what is to be overwritten
        for (var n = thread; n < ROWS * DEPTH * one; n += THREADS) {
          let row = n / DEPTH;
          var four = vec4f();
          if (first + row < keys && d + n % DEPTH < VECTORS) { four = k[k_at + (first + row) * params.k_strides.z + d + n % DEPTH]; }
          left[(row % 4u * 16u + row / 4u) * LINE + n % DEPTH] = rounded(four);
        }
        for (var n = thread; n < QUERIES * DEPTH * one; n += THREADS) {
          let row = n / DEPTH;
          var four = vec4f();
          if (tile + row < queries && d + n % DEPTH < VECTORS) { four = q[q_at + (tile + row) * params.q_strides.z + d + n % DEPTH]; }
          right[(row % 4u * SPREAD + row / 4u) * LINE + n % DEPTH] = rounded(four);
        }
        workgroupBarrier(); // these dimensions of k and q are there
        for (var n = 0u; n < DEPTH; n++) {
          let key = local.y * LINE + n;
          let key4 = mat4x4f(left[key], left[key + 16u * LINE], left[key + 32u * LINE], left[key + 48u * LINE]);
          for (var c = 0u; c < RUNS; c++) {
            let query = (c * 8u + local.x) * LINE + n;
            let query4 = mat4x4f(right[query], right[query + SPREAD * LINE], right[query + 2u * SPREAD * LINE], right[query + 3u * SPREAD * LINE]);
            p[c] = multiply_add(p[c], transpose(query4), key4);
          }
        }
      }
      for (var d = 0u; d < VECTORS; d += DEPTH * one) {
        workgroupBarrier(); // all have read what is to be overwritten
        for (var n = thread; n < ROWS * DEPTH * one; n += THREADS) {
          let row = n / DEPTH;
          var four = vec4f();
          if (first + row < keys && d + n % DEPTH < VECTORS) { four = v[k_at + (first + row) * params.k_strides.z + d + n % DEPTH]; }
          left[(row % 4u * 16u + row / 4u) * LINE + n % DEPTH] = rounded(four);
        }
        for (var n = thread; n < QUERIES * DEPTH * one; n += THREADS) {
          let row = n / DEPTH;
          var four = vec4f();
          if (tile + row < queries && d + n % DEPTH < VECTORS) { four = dy[q_at + (tile + row) * params.q_strides.z + d + n % DEPTH]; }
          right[(row % 4u * SPREAD + row / 4u) * LINE + n % DEPTH] = rounded(four);
        }
        workgroupBarrier(); // these dimensions of v and dy are there
        for (var n = 0u; n < DEPTH; n++) {
          let value = local.y * LINE + n;
          let value4 = mat4x4f(left[value], left[value + 16u * LINE], left[value + 32u * LINE], left[value + 48u * LINE]);
          for (var c = 0u; c < RUNS; c++) {
            let upstream = (c * 8u + local.x) * LINE + n;
            let upstream4 = mat4x4f(right[upstream], right[upstream + SPREAD * LINE], right[upstream + 2u * SPREAD * LINE], right[upstream + 3u * SPREAD * LINE]);
            ds[c] = multiply_add(ds[c], transpose(upstream4), value4);
          }
        }
      }

      for (var c = 0u; c < RUNS * one; c++) {
        let s4 = transpose(p[c]); // column e belongs to query e of the run: its four keys are neighbours
        let dp4 = transpose(ds[c]);
        var p4 = mat4x4f();
        var ds4 = mat4x4f();
        for (var e = 0u; e < 4u; e++) {
          let i = tile + (c * 8u + local.x) * 4u + e;
          if (i < queries) {
            let saved = rows[head * queries + i];
            let bits = mask_bits(mask_at, i, j);
            let score = s4[e] * params.scale + bias(bits);
            let weight = select(vec4f(), exp_negative(at_most_zero(score - saved.x)), sees(i, j, bits)) * saved.y; // 1 / l may be NaN
            var keep = vec4f(1.0);
            if (DROPOUT) { keep = select(vec4f(), vec4f(params.rescale), kept_four((head * queries + i) * keys + j)); }
            p4[e] = weight * keep;
            ds4[e] = weight * (dp4[e] * keep - saved.z);
          }
        }
        p[c] = transpose(p4);
        ds[c] = transpose(ds4);
      }

      for (var run = 0u; run < RUNS * one; run++) {
        workgroupBarrier(); // all have read what is to be overwritten
        for (var r = 0u; r < 4u; r++) { left[(r * 16u + local.y) * LINE + local.x] = rounded(p[run][r]); }
        for (var n = thread; n < 32u * OWN * 8u * one; n += THREADS) {
          let row = tile + run * 32u + n / (OWN * 8u);
          let d = n % (OWN * 8u);
          var four = vec4f();
          if (row < queries && d < VECTORS) { four = dy[q_at + row * params.q_strides.z + d]; }
          right[n] = rounded(four);
        }
        workgroupBarrier(); // p and dy of 32 queries are there
        for (var n = 0u; n < 8u; n++) {
          let key = local.y * LINE + n;
          let p4 = mat4x4f(left[key], left[key + 16u * LINE], left[key + 32u * LINE], left[key + 48u * LINE]);
          for (var c = 0u; c < OWN; c++) {
            let query = n * 4u * OWN * 8u + c * 8u + local.x;
            let query4 = mat4x4f(right[query], right[query + OWN * 8u], right[query + 2u * OWN * 8u], right[query + 3u * OWN * 8u]);
            value_sum[c] = multiply_add(value_sum[c], query4, p4);
          }
        }
        workgroupBarrier(); // all have read what is to be overwritten
        for (var r = 0u; r < 4u; r++) { left[(r * 16u + local.y) * LINE + local.x] = rounded(ds[run][r]); }
        for (var n = thread; n < 32u * OWN * 8u * one; n += THREADS) {
          let row = tile + run * 32u + n / (OWN * 8u);
          let d = n % (OWN * 8u);
          var four = vec4f();
          if (row < queries && d < VECTORS) { four = q[q_at + row * params.q_strides.z + d]; }
          right[n] = rounded(four);
        }
        workgroupBarrier(); // ds and q of 32 queries are there
        for (var n = 0u; n < 8u; n++) {
          let key = local.y * LINE + n;
          let ds4 = mat4x4f(left[key], left[key + 16u * LINE], left[key + 32u * LINE], left[key + 48u * LINE]);
          for (var c = 0u; c < OWN; c++) {
            let query = n * 4u * OWN * 8u + c * 8u + local.x;
            let query4 = mat4x4f(right[query], right[query + OWN * 8u], right[query + 2u * OWN * 8u], right[query + 3u * OWN * 8u]);
            key_sum[c] = multiply_add(key_sum[c], query4, ds4);
          }
        }
      }
    }
  }

  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < OWN; c++) {
      let d = c * 8u + local.x;
      if (j + r < keys && d < VECTORS) {
        dk[k_at + (j + r) * params.k_strides.z + d] = key_sum[c][r] * params.scale;
        dv[k_at + (j + r) * params.k_strides.z + d] = value_sum[c][r];
      }
    }
  }
}

// sum + a · b, as a chain of multiply-adds.
fn multiply_add(sum: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(
    sum[0] + a[0] * b[0].x + a[1] * b[0].y + a[2] * b[0].z + a[3] * b[0].w,
    sum[1] + a[0] * b[1].x + a[1] * b[1].y + a[2] * b[1].z + a[3] * b[1].w,
    sum[2] + a[0] * b[2].x + a[1] * b[2].y + a[2] * b[2].z + a[3] * b[2].w,
    sum[3] + a[0] * b[3].x + a[1] * b[3].y + a[2] * b[3].z + a[3] * b[3].w,
  );
}

fn rounded(x: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(x); }
  return x;
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
