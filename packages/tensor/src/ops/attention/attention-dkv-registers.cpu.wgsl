// dk and dv of attention: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-registers.cpu.wgsl. For CPU adapters, with
// nothing but registers.
//
// The mirror image of dq: an invocation holds four keys, and the queries go by four at a time. p is computed again here as well: two
// kernels that each own their rows need no atomics, so sums are made in the same order every time.
// Mapping and blocks: as in attention-registers.cpu.wgsl. Traffic: dk and dv once; q and dy twice per four keys, k and v once per four queries,
// from cache.
const VECTORS = 16u; // D / 4
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `rows` says where it ends
override BAND: bool = false;     // query i sees keys i − before … i + after only
override DROPOUT: bool = false;
override POSITIONS: bool = false; // add position_scores()
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
  vectors: u32,     // VECTORS, where the compiler can't see it: it is not to unroll loops
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


@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let blocks = (keys + 3u) / 4u;
  let index = id.x + id.y * workgroups.x * 8u;
  let kv_head = index / blocks; // of B · heads
  if (kv_head >= params.batch_heads) { return; }
  let j = index % blocks * 4u;
  let at = vec2u(kv_head / params.heads, kv_head % params.heads);
  let k_at = dot(at, params.k_strides.xy);

  var key_sum: array<mat4x4f, VECTORS>; // column r belongs to key j + r
  var value_sum: array<mat4x4f, VECTORS>;
  var start = 0u;
  var stop = queries;
  if (BAND) { start = j - min(j, params.after); stop = min(stop, j + 4u + params.before); }
  for (var g = 0u; g < params.group; g++) { // over the heads of q that these keys serve, one after the other
    let head = kv_head * params.group + g; // of B · H
    let q_from = vec2u(at.x, at.y * params.group + g);
    let q_at = dot(q_from, params.q_strides.xy);
    let mask_at = dot(q_from, params.mask_strides.xy);
    if (KEY_MASK && j >= u32(rows[head * queries].w)) { continue; } // no query sees these keys
    for (var i = start; i < stop; i += 4u) {
      var p = mat4x4f();  // scores, then p: column e belongs to query i + e
      var ds = mat4x4f(); // dp, then ds
      for (var d = 0u; d < params.vectors; d++) {
        p = multiply_add(p, transpose(keys_at(k_at, j, d)), queries_at(q_at, i, d));
        ds = multiply_add(ds, transpose(values_at(k_at, j, d)), upstreams_at(q_at, i, d));
      }
      for (var e = 0u; e < 4u; e++) {
        var saved = vec4f(); // of a query beyond the last 1 / l is 0, so p = 0
        if (i + e < queries) { saved = rows[head * queries + i + e]; }
        let bits = mask_bits(mask_at, min(i + e, queries - 1u), j);
        var score = p[e] * params.scale;
        if (POSITIONS) { score += position_scores(head, i + e, j); }
        score += bias(bits);
        let weight = select(vec4f(), exp_negative(at_most_zero(score - saved.x)), sees(i + e, j, bits)) * saved.y; // 1 / l may be NaN
        var keep = vec4f(1.0);
        if (DROPOUT) { keep = select(vec4f(), vec4f(params.rescale), kept_four((head * queries + i + e) * keys + j)); }
        p[e] = rounded(weight * keep);
        let own = weight * (ds[e] * keep - saved.z);
        if (POSITIONS) { add_gradients(head, i + e, j, own, bits); }
        ds[e] = rounded(own);
      }
      let p_keys = transpose(p); // column r belongs to key j + r
      let ds_keys = transpose(ds);
      for (var d = 0u; d < params.vectors; d++) {
        value_sum[d] = multiply_add(value_sum[d], upstreams_at(q_at, i, d), p_keys);
        key_sum[d] = multiply_add(key_sum[d], queries_at(q_at, i, d), ds_keys);
      }
    }
  }

  for (var r = 0u; r < 4u && j + r < keys; r++) {
    for (var d = 0u; d < params.vectors; d++) {
      dk[k_at + (j + r) * params.k_strides.z + d] = key_sum[d][r] * params.scale;
      dv[k_at + (j + r) * params.k_strides.z + d] = value_sum[d][r];
    }
  }
}

// Rows i … i + 3 of q, which begins at `at`, in dimensions 4 d … 4 d + 3. Beyond the last row, the last again.
fn queries_at(at: u32, i: u32, d: u32) -> mat4x4f {
  let last = params.q_strides.w - 1u;
  let step = params.q_strides.z;
  let first = at + d;
  return mat4x4f(
    rounded(q[first + min(i, last) * step]),
    rounded(q[first + min(i + 1u, last) * step]),
    rounded(q[first + min(i + 2u, last) * step]),
    rounded(q[first + min(i + 3u, last) * step]),
  );
}

// Rows i … i + 3 of k, which begins at `at`, in dimensions 4 d … 4 d + 3. Beyond the last row, the last again.
fn keys_at(at: u32, i: u32, d: u32) -> mat4x4f {
  let last = params.k_strides.w - 1u;
  let step = params.k_strides.z;
  let first = at + d;
  return mat4x4f(
    rounded(k[first + min(i, last) * step]),
    rounded(k[first + min(i + 1u, last) * step]),
    rounded(k[first + min(i + 2u, last) * step]),
    rounded(k[first + min(i + 3u, last) * step]),
  );
}

// Rows i … i + 3 of v, which begins at `at`, in dimensions 4 d … 4 d + 3. Beyond the last row, the last again.
fn values_at(at: u32, i: u32, d: u32) -> mat4x4f {
  let last = params.k_strides.w - 1u;
  let step = params.k_strides.z;
  let first = at + d;
  return mat4x4f(
    rounded(v[first + min(i, last) * step]),
    rounded(v[first + min(i + 1u, last) * step]),
    rounded(v[first + min(i + 2u, last) * step]),
    rounded(v[first + min(i + 3u, last) * step]),
  );
}

// Rows i … i + 3 of dy, which begins at `at`, in dimensions 4 d … 4 d + 3. Beyond the last row, the last again.
fn upstreams_at(at: u32, i: u32, d: u32) -> mat4x4f {
  let last = params.q_strides.w - 1u;
  let step = params.q_strides.z;
  let first = at + d;
  return mat4x4f(
    rounded(dy[first + min(i, last) * step]),
    rounded(dy[first + min(i + 1u, last) * step]),
    rounded(dy[first + min(i + 2u, last) * step]),
    rounded(dy[first + min(i + 3u, last) * step]),
  );
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

// What the positions of query i and the keys j … j + 3 add to the scores: position-scores.wgsl has the one that adds something.
fn position_scores(head: u32, i: u32, j: u32) -> vec4f { return vec4f(); }

// Where the gradient of position_scores() goes: position-gradients.wgsl.
fn add_gradients(head: u32, i: u32, j: u32, ds: vec4f, mask_bits: vec4u) {}
