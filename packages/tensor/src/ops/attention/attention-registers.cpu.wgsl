// y = softmax(q kᵀ scale + mask) v by online softmax (attention-online.wgsl), with nothing but registers: no workgroup memory, no subgroups. For CPU
// adapters that are slow at both.
//
// Mapping: an invocation holds four queries, and the keys go by eight at a time. Everything is made of 4 × 4 blocks, so that a load of a
// vec4 serves four queries, and one of q eight keys. The sums lie in a private array, which a CPU keeps in its cache.
// Traffic: y once; k and v once per four queries, q once per eight keys, from cache.
const VECTORS = 16u; // D / 4
override MASK: u32 = 0;          // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `lengths` says where it ends
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
  batch_heads: u32, // B · H
  heads: u32,       // H
  group: u32,       // heads of q that share one of k and v
  before: u32,
  after: u32,
  width: u32,       // positions: R, the number of the first row of tables, and where distance 0 is numbered
  first: u32,
  middle: u32,
  scale: f32,
  vectors: u32,     // VECTORS, where the compiler can't see it: it is not to unroll loops
}

@group(0) @binding(0) var<storage, read> q: array<vec4f>;           // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<vec4f>;           // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<vec4f>;           // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;          // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> lengths: array<u32>;       // [B, H]: keys worth looking at
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;     // like q
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(7) var<uniform> params: Params;

const LOWEST = -3.4028234663852886e38;
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let blocks = (queries + 3u) / 4u;
  let index = id.x + id.y * workgroups.x * 8u;
  let head = index / blocks; // of B · H
  if (head >= params.batch_heads) { return; }
  let i = index % blocks * 4u;
  let at = vec2u(head / params.heads, head % params.heads);
  let q_at = dot(at, params.q_strides.xy);
  let k_at = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let mask_at = dot(at, params.mask_strides.xy);

  var o: array<mat4x4f, VECTORS>; // column r belongs to query i + r, as everywhere
  var m = vec4f(LOWEST);
  var l = vec4f();
  var end = keys;
  if (KEY_MASK) { end = lengths[head]; }
  var start = 0u;
  if (BAND) { // what none of these queries sees is skipped
    start = i - min(i, params.before);
    start -= start % 8u;
    end = min(end, i + 4u + params.after);
  }
  for (var j = start; j < end; j += 8u) {
    var near = mat4x4f(); // scores of keys j … j + 3, then p
    var far = mat4x4f();  // of keys j + 4 … j + 7
    for (var d = 0u; d < params.vectors; d++) {
      let q4 = queries_at(q_at, i, d);
      near = multiply_add(near, transpose(keys_at(k_at, j, d)), q4);
      far = multiply_add(far, transpose(keys_at(k_at, j + 4u, d)), q4);
    }
    var largest = m;
    for (var r = 0u; r < 4u; r++) {
      let a = score(near[r], head, mask_at, i + r, j);
      let b = score(far[r], head, mask_at, i + r, j + 4u);
      near[r] = a;
      far[r] = b;
      let both = max(a, b);
      largest[r] = max(max(largest[r], max(both.x, both.y)), max(both.z, both.w));
    }
    let shrink = exp_negative(m - largest);
    m = largest;
    l *= shrink;
    for (var r = 0u; r < 4u; r++) {
      var a = exp_negative(near[r] - m[r]);
      var b = exp_negative(far[r] - m[r]);
      l[r] += dot(a + b, vec4f(1.0));
      if (DROPOUT) {
        let e = (head * queries + i + r) * keys + j;
        a = select(vec4f(), a, kept_four(e));
        b = select(vec4f(), b, kept_four(e + 4u));
      }
      near[r] = rounded(a);
      far[r] = rounded(b);
    }
    for (var d = 0u; d < params.vectors; d++) {
      let before = o[d];
      let shrunk = mat4x4f(before[0] * shrink.x, before[1] * shrink.y, before[2] * shrink.z, before[3] * shrink.w);
      o[d] = multiply_add(multiply_add(shrunk, values_at(k_at, j, d), near), values_at(k_at, j + 4u, d), far);
    }
  }

  let norm = select(1.0 / l, vec4f(), bitcast<vec4u>(l) == vec4u()) * params.rescale; // a query that sees no key gets 0
  for (var r = 0u; r < 4u && i + r < queries; r++) {
    for (var d = 0u; d < params.vectors; d++) { y[q_at + (i + r) * params.q_strides.z + d] = o[d][r] * norm[r]; }
    stats[head * queries + i + r] = vec2f(m[r], l[r]);
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

// The scores of query i with the keys j … j+3. Hiding adds −∞, which leaves NaN as it is.
fn score(products: vec4f, head: u32, mask_at: u32, i: u32, j: u32) -> vec4f {
  let bits = mask_bits(mask_at, i, j);
  var scaled = products * params.scale;
  if (POSITIONS) { scaled += position_scores(head, i, j); }
  return scaled + bias(bits) + bitcast<vec4f>(select(vec4u(MINUS_INFINITY), vec4u(), sees(i, j, bits)));
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
