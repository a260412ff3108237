// y = softmax(q kᵀ scale + mask) v, for each batch and head, without ever storing the Tq × Tk scores. For any adapter; meant for GPUs.
//
// Online softmax: the keys go by in tiles. A query keeps the largest score so far, m, the sum l = Σ exp(s − m), and o = Σ exp(s − m) v. When a tile
// brings a larger score, l and o are multiplied by exp(m_old − m_new): as if m_new had been subtracted from the start. At the end y = o / l.
// Mapping: a workgroup takes ROWS queries of one head. SLICES invocations share a query: each holds SLICE of its D dimensions in registers.
// Workgroup memory: the tile of keys and values, transposed, so that one vec4 holds four keys; and each slice's part of the scores.
// Traffic: q and y once; k and v once per ROWS queries. Saved for backward: m and l apart, since m + ln l would lose l where a mask
// of −3.4e38 makes m huge.
const HEAD_DIM = 64u; // D
const SLICE = 32u;    // dimensions held by one invocation
const SLICES = 2u;    // SLICE · SLICES ≥ D
const TILE4 = 2u;     // keys in a tile / 4
override ROWS: u32 = 32;       // queries in a workgroup
override MASK: u32 = 0;        // 0 none, 1 true attends, 2 added to the score
override KEY_MASK: bool = false; // the mask is the same for all queries, so `lengths` says where it ends
override CAUSAL: bool = false;
override DROPOUT: bool = false;
override UNROLL: bool = true; // GPUs keep arrays in registers only if loops over them are unrolled; CPU drivers compile that for minutes

struct Params {
  q_strides: vec4u,    // of q and y: elements from one batch, head, token to the next; then Tq
  k_strides: vec4u,    // of k and v, likewise; then Tk
  mask_strides: vec4u, // of batch, head, query, key: 0 where the mask is broadcast
  counter: vec4u,      // dropout: of the first block of random numbers
  key: vec2u,
  threshold: u32,      // 2^24 times the probability p to drop
  rescale: f32,        // 1 / (1 − p)
  batch_heads: u32, // B · H
  heads: u32,       // H
  scale: f32,
  slice: u32,       // SLICE, where the compiler can't see it
}

@group(0) @binding(0) var<storage, read> q: array<f32>;           // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<f32>;           // [B, H, Tk, D] or [B, Tk, H, D]
@group(0) @binding(2) var<storage, read> v: array<f32>;           // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;        // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> lengths: array<u32>;     // [B, H]: keys worth looking at
@group(0) @binding(5) var<storage, read_write> y: array<f32>;     // like q
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(7) var<uniform> params: Params;

const LOWEST = -3.4028234663852886e38;
const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite
const D = SLICE * SLICES;
var<workgroup> k_tile: array<vec4f, D * TILE4>; // [D, TILE4] four keys
var<workgroup> v_tile: array<vec4f, D * TILE4>;
var<workgroup> parts: array<vec4f, SLICES * ROWS * TILE4>;

@compute @workgroup_size(ROWS, SLICES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let queries = params.q_strides.w;
  let keys = params.k_strides.w;
  let tiles = (queries + ROWS - 1u) / ROWS;
  let index = group.x + group.y * workgroups.x;
  let head = index / tiles; // of B · H
  let first = (index % tiles) * ROWS;
  let i = first + local.x;
  let row = head * queries + i;
  let at = vec2u(head / params.heads, head % params.heads);
  let inside = i < queries && head < params.batch_heads; // the launch may be a few workgroups too many
  let slice = select(params.slice, SLICE, UNROLL);
  let own = SLICE * local.y; // this invocation's first dimension
  let q_at = dot(at, params.q_strides.xy) + i * params.q_strides.z + own;
  let k_at = dot(at, params.k_strides.xy);
  let mask_at = dot(at, params.mask_strides.xy) + i * params.mask_strides.z;

  var query: array<f32, SLICE>;
  var o: array<f32, SLICE>;
  for (var d = 0u; d < slice; d++) {
    if (inside && own + d < HEAD_DIM) { query[d] = q[q_at + d]; }
  }
  var m = LOWEST;
  var l = 0.0;

  var end = keys;
  if (KEY_MASK) { end = lengths[head]; }
  if (CAUSAL) { end = min(end, first + ROWS); } // no query of this workgroup sees further
  for (var tile = 0u; tile < end; tile += 4u * TILE4) {
    workgroupBarrier(); // the tile before has been read by all
    for (var n = thread; n < D * TILE4; n += ROWS * SLICES) {
      let d = n % D;
      let j = tile + n / D * 4u;
      var key = vec4f();
      var value = vec4f();
      for (var c = 0u; c < 4u; c++) {
        if (j + c < keys && d < HEAD_DIM) {
          let source = k_at + (j + c) * params.k_strides.z + d;
          key[c] = k[source];
          value[c] = v[source];
        }
      }
      k_tile[d * TILE4 + n / D] = key;
      v_tile[d * TILE4 + n / D] = value;
    }
    workgroupBarrier(); // the tile is there

    var s = array<vec4f, TILE4>();
    for (var d = 0u; d < slice; d++) {
      for (var g = 0u; g < TILE4; g++) { s[g] += query[d] * k_tile[(own + d) * TILE4 + g]; }
    }
    if (SLICES > 1u) {
      for (var g = 0u; g < TILE4; g++) { parts[(local.y * TILE4 + g) * ROWS + local.x] = s[g]; }
      workgroupBarrier(); // all parts are there; the barriers above keep them from being overwritten
      for (var g = 0u; g < TILE4; g++) {
        s[g] = parts[g * ROWS + local.x];
        for (var c = 1u; c < SLICES; c++) { s[g] += parts[(c * TILE4 + g) * ROWS + local.x]; }
      }
    }

    var visible = array<vec4<bool>, TILE4>();
    var largest = m;
    for (var g = 0u; g < TILE4; g++) {
      let j = tile + 4u * g;
      let bits = mask_bits(mask_at + j * params.mask_strides.w);
      visible[g] = sees(i, j, bits);
      s[g] = select(vec4f(LOWEST), s[g] * params.scale + bias(bits), visible[g]);
      largest = max(max(largest, max(s[g].x, s[g].y)), max(s[g].z, s[g].w));
    }
    let shrink = exp_negative(vec4f(m - largest)).x;
    m = largest;
    l *= shrink;
    for (var g = 0u; g < TILE4; g++) {
      s[g] = select(vec4f(), exp_negative(s[g] - m), visible[g]);
      l += (s[g].x + s[g].y) + (s[g].z + s[g].w);
      if (DROPOUT) { s[g] = select(vec4f(), s[g], kept(row * keys + tile + 4u * g)); }
    }
    for (var d = 0u; d < slice; d++) {
      var sum = 0.0;
      for (var g = 0u; g < TILE4; g++) { sum += dot(s[g], v_tile[(own + d) * TILE4 + g]); }
      o[d] = o[d] * shrink + sum;
    }
  }

  if (!inside) { return; }
  let norm = select(0.0, 1.0 / l, l > 0.0) * params.rescale; // a query that sees no key gets 0
  for (var d = 0u; d < slice; d++) {
    if (own + d < HEAD_DIM) { y[q_at + d] = o[d] * norm; }
  }
  if (local.y == 0u) { stats[row] = vec2f(m, l); }
}

// The mask of four keys, or all ones.
fn mask_bits(first: u32) -> vec4u {
  if (MASK == 0u) { return vec4u(1u); }
  let step = params.mask_strides.w;
  return vec4u(mask[first], mask[first + step], mask[first + 2u * step], mask[first + 3u * step]);
}

// Which of the keys j … j+3 query i sees.
fn sees(i: u32, j: u32, bits: vec4u) -> vec4<bool> {
  let key = vec4u(j, j + 1u, j + 2u, j + 3u);
  var end = params.k_strides.w;
  if (CAUSAL) { end = min(end, i + 1u); }
  let hidden = select(0u, MINUS_INFINITY, MASK == 2u);
  return (key < vec4u(end)) & (bits != vec4u(hidden));
}

// What an additive mask adds.
fn bias(bits: vec4u) -> vec4f {
  return select(vec4f(), bitcast<vec4f>(bits), vec4<bool>(MASK == 2u) & (bits != vec4u(MINUS_INFINITY)));
}

// exp(x) for x ≤ 0 to the last bit or so; WGSL's own may be 3 + 2 |x| units off. x = n ln 2 + r, so exp(x) = 2^n exp(r), |r| ≤ ln 2 / 2.
fn exp_negative(x: vec4f) -> vec4f {
  let n = round(max(x, vec4f(-87.0)) * 1.44269504);
  let r = (max(x, vec4f(-87.0)) - n * 0.693359375) + n * 2.12194440e-4; // ln 2 in two pieces: the first times n is exact
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
  return select(vec4f(0.0), series * bitcast<vec4f>((vec4i(n) + 127) << vec4u(23u)), x > vec4f(-87.0));
}

// Upper words of two products of 32-bit numbers, from their halves.
fn mul_high(a: vec2u, b: vec2u) -> vec2u {
  let al = a & vec2u(0xffffu);
  let ah = a >> vec2u(16u);
  let bl = b & vec2u(0xffffu);
  let bh = b >> vec2u(16u);
  let middle = ah * bl + ((al * bl) >> vec2u(16u));
  let other = al * bh + (middle & vec2u(0xffffu));
  return ah * bh + (middle >> vec2u(16u)) + (other >> vec2u(16u));
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  let multipliers = vec2u(0xd2511f53u, 0xcd9e8d57u);
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high = mul_high(multipliers, c.xz);
    let low = multipliers * c.xz;
    c = vec4u(high.y ^ c.y ^ k.x, low.y, high.x ^ c.w ^ k.y, low.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

fn block(i: u32) -> vec4u {
  var c = params.counter;
  c.x += i;
  if (c.x < i) { c.y++; if (c.y == 0u) { c.z++; if (c.z == 0u) { c.w++; } } } // carry
  return philox(c, params.key);
}

// Which of the elements e … e+3 of [B, H, Tq, Tk] dropout keeps: as in dropout.wgsl, word e % 4 of block e / 4 decides about element e.
fn kept(e: u32) -> vec4<bool> {
  var words = block(e / 4u);
  let shift = e % 4u;
  if (shift > 0u) { // not aligned: Tk is no multiple of 4
    let next = block(e / 4u + 1u);
    if (shift == 1u) { words = vec4u(words.yzw, next.x); }
    else if (shift == 2u) { words = vec4u(words.zw, next.xy); }
    else { words = vec4u(words.w, next.xyz); }
  }
  return (words >> vec4u(8u)) >= vec4u(params.threshold);
}
