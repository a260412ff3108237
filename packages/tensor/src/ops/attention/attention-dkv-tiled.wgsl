// dk and dv of attention: dv_j = Σ_i p_ij dy_i, dk_j = scale Σ_i ds_ij q_i, with p and ds as in attention-dq-tiled.wgsl. For any adapter; meant for GPUs.
//
// The mirror image of dq: an invocation holds a key, and the queries go by in tiles. p is computed again here as well: two kernels
// that each own their rows need no atomics, so sums are made in the same order every time.
// Mapping: a workgroup takes ROWS keys of one head. SLICES invocations share a key: each holds SLICE of its D dimensions.
// Traffic: k, v, dk, dv once; q and dy once per ROWS keys.
const HEAD_DIM = 64u; // D
const SLICE = 32u;    // dimensions held by one invocation
const SLICES = 2u;    // SLICE · SLICES ≥ D
const TILE4 = 2u;     // queries in a tile / 4
override ROWS: u32 = 32; // keys in a workgroup
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

@group(0) @binding(0) var<storage, read> q: array<f32>;      // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> k: array<f32>;      // [B, H, Tk, D] or [B, Tk, H, D]
@group(0) @binding(2) var<storage, read> v: array<f32>;      // like k
@group(0) @binding(3) var<storage, read> mask: array<u32>;   // broadcastable to [B, H, Tq, Tk]: 0 or 1, or the bits of an f32
@group(0) @binding(4) var<storage, read> dy: array<f32>;     // like q
@group(0) @binding(5) var<storage, read> rows: array<vec4f>; // [B, H, Tq]: m, 1 / l, δ, keys worth looking at
@group(0) @binding(6) var<storage, read_write> dk: array<f32>; // like k
@group(0) @binding(7) var<storage, read_write> dv: array<f32>; // like k
@group(0) @binding(8) var<uniform> params: Params;

const MINUS_INFINITY = 0xff800000u; // its bits: WGSL may assume that no float is infinite
const D = SLICE * SLICES;
var<workgroup> q_tile: array<vec4f, D * TILE4>; // [D, TILE4] four queries
var<workgroup> dy_tile: array<vec4f, D * TILE4>;
var<workgroup> row_tile: array<vec4f, 4 * TILE4>;
var<workgroup> s_parts: array<vec4f, SLICES * ROWS * TILE4>;
var<workgroup> dp_parts: array<vec4f, SLICES * ROWS * TILE4>;

@compute @workgroup_size(ROWS, SLICES)
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
  let head = index / tiles; // of B · H
  let first = (index % tiles) * ROWS;
  let j = first + local.x;
  let at = vec2u(head / params.heads, head % params.heads);
  let inside = j < keys && head < params.batch_heads; // the launch may be a few workgroups too many
  let slice = select(params.slice, SLICE, UNROLL);
  let own = SLICE * local.y; // this invocation's first dimension
  let q_at = dot(at, params.q_strides.xy);
  let k_at = dot(at, params.k_strides.xy) + j * params.k_strides.z + own;
  let mask_at = dot(at, params.mask_strides.xy) + j * params.mask_strides.w;

  var key: array<f32, SLICE>;
  var value: array<f32, SLICE>;
  var key_sum: array<f32, SLICE>;
  var value_sum: array<f32, SLICE>;
  for (var d = 0u; d < slice; d++) {
    if (inside && own + d < HEAD_DIM) {
      key[d] = k[k_at + d];
      value[d] = v[k_at + d];
    }
  }

  var start = 0u;
  if (CAUSAL) { start = first; } // no query before sees a key of this workgroup
  if (KEY_MASK) { start = select(start, queries, first >= u32(rows[head * queries].w)); }
  for (var tile = start; tile < queries; tile += 4u * TILE4) {
    workgroupBarrier(); // the tile before has been read by all
    for (var n = thread; n < D * TILE4; n += ROWS * SLICES) {
      let d = n % D;
      let i = tile + n / D * 4u;
      var query = vec4f();
      var upstream = vec4f();
      for (var c = 0u; c < 4u; c++) {
        if (i + c < queries && d < HEAD_DIM) {
          let source = q_at + (i + c) * params.q_strides.z + d;
          query[c] = q[source];
          upstream[c] = dy[source];
        }
      }
      q_tile[d * TILE4 + n / D] = query;
      dy_tile[d * TILE4 + n / D] = upstream;
    }
    for (var n = thread; n < 4u * TILE4; n += ROWS * SLICES) {
      var row = vec4f();
      if (tile + n < queries) { row = rows[head * queries + tile + n]; }
      row_tile[n] = row;
    }
    workgroupBarrier(); // the tile is there

    var s = array<vec4f, TILE4>();
    var dp = array<vec4f, TILE4>();
    for (var d = 0u; d < slice; d++) {
      for (var g = 0u; g < TILE4; g++) {
        s[g] += key[d] * q_tile[(own + d) * TILE4 + g];
        dp[g] += value[d] * dy_tile[(own + d) * TILE4 + g];
      }
    }
    if (SLICES > 1u) {
      for (var g = 0u; g < TILE4; g++) {
        s_parts[(local.y * TILE4 + g) * ROWS + local.x] = s[g];
        dp_parts[(local.y * TILE4 + g) * ROWS + local.x] = dp[g];
      }
      workgroupBarrier(); // all parts are there; the barriers above keep them from being overwritten
      for (var g = 0u; g < TILE4; g++) {
        s[g] = s_parts[g * ROWS + local.x];
        dp[g] = dp_parts[g * ROWS + local.x];
        for (var c = 1u; c < SLICES; c++) {
          s[g] += s_parts[(c * TILE4 + g) * ROWS + local.x];
          dp[g] += dp_parts[(c * TILE4 + g) * ROWS + local.x];
        }
      }
    }

    for (var g = 0u; g < TILE4; g++) {
      let i = tile + 4u * g;
      let saved = transpose(mat4x4f(row_tile[4u * g], row_tile[4u * g + 1u], row_tile[4u * g + 2u], row_tile[4u * g + 3u]));
      let bits = mask_bits(mask_at + i * params.mask_strides.z);
      let visible = seen(i, j, bits);
      let p = select(vec4f(), exp_negative(min(s[g] * params.scale + bias(bits) - saved[0], vec4f())) * saved[1], visible);
      var keep = vec4f(1.0);
      if (DROPOUT) {
        for (var c = 0u; c < 4u; c++) { keep[c] = select(0.0, params.rescale, kept((head * queries + i + c) * keys + j)); }
      }
      s[g] = p * keep;
      dp[g] = p * (dp[g] * keep - saved[2]); // ds
    }
    for (var d = 0u; d < slice; d++) {
      for (var g = 0u; g < TILE4; g++) {
        value_sum[d] += dot(s[g], dy_tile[(own + d) * TILE4 + g]);
        key_sum[d] += dot(dp[g], q_tile[(own + d) * TILE4 + g]);
      }
    }
  }

  if (!inside) { return; }
  for (var d = 0u; d < slice; d++) {
    if (own + d < HEAD_DIM) {
      dk[k_at + d] = key_sum[d] * params.scale;
      dv[k_at + d] = value_sum[d];
    }
  }
}

// The mask of key j for the queries i … i+3, or all ones.
fn mask_bits(first: u32) -> vec4u {
  if (MASK == 0u) { return vec4u(1u); }
  let step = params.mask_strides.z;
  return vec4u(mask[first], mask[first + step], mask[first + 2u * step], mask[first + 3u * step]);
}

// Which of the queries i … i+3 sees key j.
fn seen(i: u32, j: u32, bits: vec4u) -> vec4<bool> {
  let query = vec4u(i, i + 1u, i + 2u, i + 3u);
  let start = select(0u, j, CAUSAL);
  let hidden = select(0u, MINUS_INFINITY, MASK == 2u);
  return (query >= vec4u(start)) & (query < vec4u(params.q_strides.w)) & (bits != vec4u(hidden));
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

// Whether dropout keeps element e of [B, H, Tq, Tk]: as in dropout.wgsl, word e % 4 of block e / 4 decides.
fn kept(e: u32) -> bool {
  return (block(e / 4u)[e % 4u] >> 8u) >= params.threshold;
}
