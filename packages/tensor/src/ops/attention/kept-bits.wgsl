// The kept_four() of attention kernels that read what attention-kept.wgsl has drawn: bit e % 32 of word e / 32 decides about element e of
// [B, H, Tq, Tk]. Not a kernel by itself: it takes the place of that of kernels that are whole without it (see plan.ts).
@group(0) @binding(20) var<storage, read> kept_bits: array<u32>;

// Which of the elements e … e+3 it keeps.
fn kept_four(e: u32) -> vec4<bool> {
  let shift = e % 32u;
  var bits = kept_bits[e / 32u] >> shift;
  if (shift > 28u) { bits |= kept_bits[e / 32u + 1u] << (32u - shift); } // Tk is not a multiple of 4
  return (vec4u(bits) & vec4u(1u, 2u, 4u, 8u)) != vec4u();
}
