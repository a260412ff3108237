// y[b, t] = word[ids[b, t]] + token_type[types[b, t]] + position[p], where p is position_ids[b, t], or t.
//
// An id out of range gives a row of NaN: a kernel can't throw. Added in the order of Hugging Face's BertEmbeddings.
// Mapping: one invocation per SHARE elements of a row of y, or as many vectors (Element = vec4f), as far apart as can be, so that neighbours
// read neighbours; ids are read once for all of them. Traffic: y written once, and as much read three times; the small tables come from cache.
alias Element = f32;
alias Bits = u32; // of an Element
override INNER: u32 = 1; // Elements in a row: known in advance, it is divided by with a multiplication
override SHARE: u32 = 1; // divides INNER
override GIVEN_POSITIONS: bool = false;

struct Params { count: u32, length: u32, words: u32, positions: u32, token_types: u32 } // count: invocations

@group(0) @binding(0) var<storage, read> word: array<Element>;       // [words, inner]
@group(0) @binding(1) var<storage, read> position: array<Element>;   // [positions, inner]
@group(0) @binding(2) var<storage, read> token_type: array<Element>; // [token_types, inner]
@group(0) @binding(3) var<storage, read> ids: array<u32>;            // [B, length]
@group(0) @binding(4) var<storage, read> types: array<u32>;          // [B, length]
@group(0) @binding(5) var<storage, read> position_ids: array<u32>;   // [B, length]; unused unless GIVEN_POSITIONS
@group(0) @binding(6) var<storage, read_write> y: array<Bits>;       // [B, length, inner]
@group(0) @binding(7) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let step = INNER / SHARE;
  let row = i / step;
  let first = i - row * step;
  let w = ids[row];
  let t = types[row];
  var p = row % params.length;
  if (GIVEN_POSITIONS) { p = position_ids[row]; }
  let known = w < params.words && t < params.token_types && p < params.positions;
  for (var k = 0u; k < SHARE; k++) {
    let c = first + k * step;
    if (known) {
      let sum = word[w * INNER + c] + token_type[t * INNER + c] + position[p * INNER + c];
      y[row * INNER + c] = bitcast<Bits>(sum);
    } else {
      y[row * INNER + c] = Bits(0x7fc00000u); // NaN
    }
  }
}
