// How many keys of each head are worth looking at: the keys behind the last one that the mask lets through can be skipped. [B, H]
//
// For a mask that is the same for all queries (padding). An additive mask lets through what is above −1e30: beside such a key, one at
// float32's lowest gets exp(−1e30) = 0. Where no key is let through, all are looked at: they may count alike, and a query may be NaN.
// A hidden key that holds a NaN or an infinity, or whose value does, is worth looking at too: 0 times either is NaN.
// Mapping: one workgroup per head. Traffic: the mask once, k and v once where they are hidden.
alias Lanes = vec4f; // elements that are read at once: f32 where a row is not whole vec4s
alias Bits = vec4u;  // as many
override MASK: u32 = 1; // 1 true attends, 2 added to the score

struct Params {
  k_strides: vec4u,    // Lanes from one batch, head, token to the next; then Tk
  mask_strides: vec4u, // elements, of batch, head, query, key
  batch_heads: u32,    // B · H
  heads: u32,
  group: u32,          // heads of q that share one of k and v
  vectors: u32,        // Lanes in a row
}

@group(0) @binding(0) var<storage, read> k: array<Lanes>; // [B, H / group, Tk, D] or [B, Tk, H / group, D]
@group(0) @binding(1) var<storage, read> v: array<Lanes>; // like k
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> lengths: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> visible: atomic<u32>; // 0 at first, as all workgroup memory
var<workgroup> length: atomic<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = group.x + group.y * workgroups.x;
  if (head >= params.batch_heads) { return; } // the whole workgroup
  let at = vec2u(head / params.heads, head % params.heads);
  let mask_first = dot(at, params.mask_strides.xy);
  let k_first = dot(vec2u(at.x, at.y / params.group), params.k_strides.xy);
  let keys = params.k_strides.w;

  var own = 0u;
  for (var j = lane; j < keys; j += 64u) {
    if (!hidden(mask[mask_first + j * params.mask_strides.w])) { own = j + 1u; }
  }
  atomicMax(&visible, own);
  workgroupBarrier(); // all have written their last visible key
  let first = atomicLoad(&visible);
  own = first;
  for (var n = lane; n < (keys - first) * params.vectors; n += 64u) {
    let j = first + n / params.vectors;
    let place = k_first + j * params.k_strides.z + n % params.vectors;
    if (!finite(k[place]) || !finite(v[place])) { own = j + 1u; }
  }
  if (first == 0u) { own = keys; }
  atomicMax(&length, own);
  workgroupBarrier(); // all have written what they found
  if (lane == 0u) { lengths[head] = atomicLoad(&length); }
}

fn hidden(bits: u32) -> bool {
  if (MASK == 1u) { return bits == 0u; }
  // By the bits, because −∞ counts too: negative, and larger than 1e30 without the sign.
  return bits > 0x80000000u + bitcast<u32>(1e30) && bits <= 0xff800000u;
}

// By the bits, for WGSL may assume that no float is NaN or infinite.
fn finite(x: Lanes) -> bool { return all((bitcast<Bits>(x) & Bits(0x7f800000u)) != Bits(0x7f800000u)); }
