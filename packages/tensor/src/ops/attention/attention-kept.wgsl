// Which attention weights dropout keeps, a bit each: drawn once for forward and backward, which then read 1 bit a score where they would
// draw 4 bytes three times.
//
// Mapping: one invocation per word, of 32 neighbours in [B, H, Tq, Tk]. Traffic: each word is written once.
struct Params {
  counter: vec4u, // of the first block of random numbers
  key: vec2u,
  threshold: u32, // 2^24 times the probability p to drop
  words: u32,
}

@group(0) @binding(0) var<storage, read_write> kept_bits: array<u32>; // [words]
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u; // large launches are folded into two dimensions
  if (i >= params.words) { return; }
  var bits = 0u;
  for (var e = 0u; e < 32u; e += 4u) {
    let four = select(vec4u(), vec4u(1u, 2u, 4u, 8u), kept_four(32u * i + e));
    bits |= (four.x + four.y + four.z + four.w) << e;
  }
  kept_bits[i] = bits;
}

// Which of the elements e … e+3 of [B, H, Tq, Tk] dropout keeps: kept.wgsl has the kept_four() that draws.
fn kept_four(e: u32) -> vec4<bool> { return vec4<bool>(true); }
