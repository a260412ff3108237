// y = softmax(q kᵀ scale) v, from attention-online.wgsl to attention-tiled.wgsl, step 2: the maximum moves once per tile.
//
// First all scores of a tile, then its maximum, and one shrinking of l and o for 32 keys: one multiplication of o's 64 numbers where there were 32.
// Mapping and traffic: as in step 1, and 32 scores in registers.
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
var<workgroup> k_tile: array<vec4f, KEYS * VECTORS>;
var<workgroup> v_tile: array<vec4f, KEYS * VECTORS>;

@compute @workgroup_size(ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) me: u32) { // group: a block of queries, and a head
  let head = group.y * params.tokens * VECTORS;
  let row = head + (group.x * ROWS + me) * VECTORS;
  var query = array<vec4f, VECTORS>();
  for (var d = 0u; d < VECTORS; d++) { query[d] = q[row + d]; }

  var m = -3.4028234e38; // the largest score so far
  var l = 0.0;           // Σ exp(s − m)
  var o = array<vec4f, VECTORS>(); // Σ exp(s − m) v
  for (var tile = 0u; tile < params.tokens; tile += KEYS) {
    workgroupBarrier(); // all have read what is to be overwritten
    for (var n = me; n < KEYS * VECTORS; n += ROWS) {
      k_tile[n] = k[head + tile * VECTORS + n];
      v_tile[n] = v[head + tile * VECTORS + n];
    }
    workgroupBarrier(); // these keys and values are there
    var s = array<f32, KEYS>();
    var largest = m;
    for (var j = 0u; j < KEYS; j++) {
      var four = vec4f();
      for (var d = 0u; d < VECTORS; d++) { four += query[d] * k_tile[j * VECTORS + d]; }
      s[j] = (four.x + four.y + four.z + four.w) * params.scale;
      largest = max(largest, s[j]);
    }
    let shrink = exp(m - largest);
    m = largest;
    l *= shrink;
    for (var d = 0u; d < VECTORS; d++) { o[d] *= shrink; }
    for (var j = 0u; j < KEYS; j++) {
      let p = exp(s[j] - m);
      l += p;
      for (var d = 0u; d < VECTORS; d++) { o[d] += p * v_tile[j * VECTORS + d]; }
    }
  }
  for (var d = 0u; d < VECTORS; d++) { y[row + d] = o[d] / l; }
}
