// y = softmax(q kᵀ scale) v, from attention-online.wgsl to attention-tiled.wgsl, step 3: scores are made in blocks of 4 × 4, as in a product.
//
// In step 2 each vec4 of a key serves one query. A block of 4 queries × 4 keys takes 8 vec4s for 64 multiply-adds, half the reads; and an invocation
// holds 16 scores and 32 sums instead of 32 and 64, so more of them fit a GPU. The price: eight invocations work on the same queries, so they have to
// agree on the maximum, and each needs the p of the others.
// Mapping: 8 × 16 invocations; (x, y) makes the scores of queries 4 y … 4 y + 3 with keys 4 x … 4 x + 3, then vec4s x and x + 8 of the same queries' results.
// Traffic: k once per 64 queries; q once per 32 keys, from cache; v straight from memory, once per four queries.
// Tokens are a multiple of 64, D is 64; no mask, no dropout.
struct Params { tokens: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> q: array<vec4f>;       // [heads, tokens, 64]
@group(0) @binding(1) var<storage, read> k: array<vec4f>;       // likewise
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;

const VECTORS = 16u; // D / 4
const ROWS = 64u;    // queries of a workgroup
const KEYS = 32u;    // keys in a tile
const DEPTH = 8u;    // vec4s of a row in workgroup memory at a time
const LINE = 9u;     // … and a gap, so that neighbours read from different banks
const THREADS = 128u;
var<workgroup> left: array<vec4f, ROWS * LINE>;  // part of q, then p. Row 4 y + r of the tile lies in line 16 r + y
var<workgroup> right: array<vec4f, KEYS * LINE>; // part of k. Key 4 x + r lies in line 8 r + x
var<workgroup> parts: array<vec4f, THREADS>;     // what an invocation knows of its four queries

// sum + a · b, as a chain of multiply-adds.
fn multiply_add(sum: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(
    sum[0] + a[0] * b[0].x + a[1] * b[0].y + a[2] * b[0].z + a[3] * b[0].w,
    sum[1] + a[0] * b[1].x + a[1] * b[1].y + a[2] * b[1].z + a[3] * b[1].w,
    sum[2] + a[0] * b[2].x + a[1] * b[2].y + a[2] * b[2].z + a[3] * b[2].w,
    sum[3] + a[0] * b[3].x + a[1] * b[3].y + a[2] * b[3].z + a[3] * b[3].w,
  );
}

@compute @workgroup_size(8, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) me: u32) {
  let head = group.y * params.tokens * VECTORS;
  let first = head + group.x * ROWS * VECTORS;

  var m = vec4f(-3.4028234e38); // of queries 4 y … 4 y + 3
  var l = vec4f();              // of this invocation's keys: the sums of the eight meet at the end
  var o = array<mat4x4f, 2>();  // column r belongs to query 4 y + r
  for (var tile = 0u; tile < params.tokens; tile += KEYS) {
    var s = mat4x4f(); // likewise; its four rows are the keys 4 x … 4 x + 3
    for (var d = 0u; d < VECTORS; d += DEPTH) {
      workgroupBarrier(); // all have read what is to be overwritten
      for (var n = me; n < ROWS * DEPTH; n += THREADS) {
        let row = n / DEPTH;
        left[(row % 4u * 16u + row / 4u) * LINE + n % DEPTH] = q[first + row * VECTORS + d + n % DEPTH];
      }
      for (var n = me; n < KEYS * DEPTH; n += THREADS) {
        let row = n / DEPTH;
        right[(row % 4u * 8u + row / 4u) * LINE + n % DEPTH] = k[head + (tile + row) * VECTORS + d + n % DEPTH];
      }
      workgroupBarrier(); // these dimensions of q and k are there
      for (var n = 0u; n < DEPTH; n++) {
        let query = id.y * LINE + n;
        let key = id.x * LINE + n;
        let q4 = mat4x4f(left[query], left[query + 16u * LINE], left[query + 32u * LINE], left[query + 48u * LINE]);
        let k4 = mat4x4f(right[key], right[key + 8u * LINE], right[key + 16u * LINE], right[key + 24u * LINE]);
        s = multiply_add(s, transpose(k4), q4);
      }
    }

    s *= params.scale;
    var largest = m;
    for (var r = 0u; r < 4u; r++) { largest[r] = max(max(largest[r], max(s[r].x, s[r].y)), max(s[r].z, s[r].w)); }
    parts[me] = largest;
    workgroupBarrier(); // the eight that share four queries have written their largest scores; and `left` has been read
    for (var x = 0u; x < 8u; x++) { largest = max(largest, parts[id.y * 8u + x]); }
    let shrink = exp(m - largest);
    m = largest;
    l *= shrink;
    for (var r = 0u; r < 4u; r++) {
      let p = exp(s[r] - m[r]);
      l[r] += (p.x + p.y) + (p.z + p.w);
      o[0][r] *= shrink[r];
      o[1][r] *= shrink[r];
      left[(r * 16u + id.y) * LINE + id.x] = p;
    }
    workgroupBarrier(); // p of 32 keys is there
    for (var n = 0u; n < KEYS / 4u; n++) { // four keys at a time
      let query = id.y * LINE + n;
      let p4 = mat4x4f(left[query], left[query + 16u * LINE], left[query + 32u * LINE], left[query + 48u * LINE]);
      for (var c = 0u; c < 2u; c++) {
        let value = head + (tile + n * 4u) * VECTORS + c * 8u + id.x;
        let v4 = mat4x4f(v[value], v[value + VECTORS], v[value + 2u * VECTORS], v[value + 3u * VECTORS]);
        o[c] = multiply_add(o[c], v4, p4);
      }
    }
  }

  parts[me] = l; // the barriers above keep it from being overwritten too early
  workgroupBarrier(); // all sums are there
  l = vec4f();
  for (var x = 0u; x < 8u; x++) { l += parts[id.y * 8u + x]; }
  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 2u; c++) { y[first + (id.y * 4u + r) * VECTORS + c * 8u + id.x] = o[c][r] / l[r]; }
  }
}
