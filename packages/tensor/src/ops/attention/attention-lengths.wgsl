// How many keys of each head are worth looking at: the keys behind the last one that the mask lets through can be skipped. [B, H]
//
// For a mask that is the same for all queries (padding). An additive mask lets through what is above −1e30: beside such a key, one at
// float32's lowest gets exp(−1e30) = 0. Where no key is above that, all count alike, so all are looked at.
// Mapping: one invocation per head, from the last key back to the first that is let through.
override MASK: u32 = 1; // 1 true attends, 2 added to the score

struct Params { mask_strides: vec4u, batch_heads: u32, heads: u32, keys: u32 }

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read_write> lengths: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let head = id.x + id.y * workgroups.x * 8u;
  if (head >= params.batch_heads) { return; }
  let first = dot(vec2u(head / params.heads, head % params.heads), params.mask_strides.xy);
  var length = params.keys;
  while (length > 0u && hidden(mask[first + (length - 1u) * params.mask_strides.w])) { length--; }
  if (MASK == 2u && length == 0u) { length = params.keys; }
  lengths[head] = length;
}

fn hidden(bits: u32) -> bool {
  if (MASK == 1u) { return bits == 0u; }
  // By the bits, because −∞ counts too: negative, and larger than 1e30 without the sign.
  return bits > 0x80000000u + bitcast<u32>(1e30) && bits <= 0xff800000u;
}
