// dq of attention: dq_i = scale Σ_j ds_ij k_j, where ds = p ∘ (dp − δ), dp_ij = dy_i · v_j, δ_i = y_i · dy_i. For CPU adapters, with nothing but registers.
//
// p_ij = exp(s_ij − m_i) / l_i is computed again from q, k and the saved m and l: cheaper than having stored it. With dropout, dp is that
// of the kept elements, over 1 − the probability to drop; δ is the same.
// Mapping and blocks: as in attention-registers.cpu.wgsl. Traffic: dq once; k twice and v once per four queries, q and dy once per eight keys,
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

@group(0) @binding(0) var<storage, read> q: array<vec4f>;    // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<vec4f>;    // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(2) var<storage, read> v: array<vec4f>;    // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;   // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>; // like q
@group(0) @binding(7) var<uniform> params: Params;


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

  var sum: array<mat4x4f, VECTORS>; // column r belongs to query i + r, as everywhere
  var saved: array<vec4f, 4>;
  for (var r = 0u; r < 4u; r++) { saved[r] = rows[head * queries + min(i + r, queries - 1u)]; }
  var end = keys;
  if (KEY_MASK) { end = u32(saved[0].w); }
  var start = 0u;
  if (BAND) { // what none of these queries sees is skipped
    start = i - min(i, params.before);
    start -= start % 8u;
    end = min(end, i + 4u + params.after);
  }
  for (var j = start; j < end; j += 8u) {
    var near = mat4x4f(); // scores of keys j … j + 3, then ds
    var far = mat4x4f();  // of keys j + 4 … j + 7
    var near_up = mat4x4f(); // dp, likewise
    var far_up = mat4x4f();
    for (var d = 0u; d < params.vectors; d++) {
      let q4 = queries_at(q_at, i, d);
      near = multiply_add(near, transpose(keys_at(k_at, j, d)), q4);
      far = multiply_add(far, transpose(keys_at(k_at, j + 4u, d)), q4);
      let dy4 = upstreams_at(q_at, i, d);
      near_up = multiply_add(near_up, transpose(values_at(k_at, j, d)), dy4);
      far_up = multiply_add(far_up, transpose(values_at(k_at, j + 4u, d)), dy4);
    }
    for (var r = 0u; r < 4u; r++) {
      near[r] = ds4(near[r], near_up[r], saved[r], head, mask_at, i + r, j);
      far[r] = ds4(far[r], far_up[r], saved[r], head, mask_at, i + r, j + 4u);
    }
    for (var d = 0u; d < params.vectors; d++) {
      sum[d] = multiply_add(multiply_add(sum[d], keys_at(k_at, j, d), near), keys_at(k_at, j + 4u, d), far);
    }
  }

  for (var r = 0u; r < 4u && i + r < queries; r++) {
    for (var d = 0u; d < params.vectors; d++) { dq[q_at + (i + r) * params.q_strides.z + d] = sum[d][r] * params.scale; }
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

// ds of query i and the keys j … j+3, from their products.
fn ds4(products: vec4f, upstream: vec4f, saved: vec4f, head: u32, mask_at: u32, i: u32, j: u32) -> vec4f {
  let bits = mask_bits(mask_at, i, j);
  var scaled = products * params.scale;
  if (POSITIONS) { scaled += position_scores(head, i, j); }
  let p = select(vec4f(), exp_negative(at_most_zero(scaled + bias(bits) - saved.x)), sees(i, j, bits)) * saved.y; // 1 / l may be NaN
  var dp = upstream;
  if (DROPOUT) { dp = select(vec4f(), dp * params.rescale, kept_four((head * params.q_strides.w + i) * params.k_strides.w + j)); }
  let ds = p * (dp - saved.z);
  if (POSITIONS) { add_gradients(head, i, j, ds, bits); }
  return rounded(ds);
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
