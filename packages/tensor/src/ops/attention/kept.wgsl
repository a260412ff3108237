// The kept() and kept_four() of attention kernels with dropout inside: word e % 4 of block e / 4 decides about element e of [B, H, Tq, Tk].
// Not a kernel by itself: it takes the place of those of kernels that are whole without it (see attention.ts). Random numbers are
// those of dropout.wgsl, which explains them, at the same places: the fused op and the separate one drop the same.

fn block(i: u32) -> vec4u {
  var c = params.counter;
  c.x += i;
  if (c.x < i) { c.y++; if (c.y == 0u) { c.z++; if (c.z == 0u) { c.w++; } } } // carry
  return philox(c, params.key);
}

// Whether dropout keeps element e.
fn kept(e: u32) -> bool {
  return (block(e / 4u)[e % 4u] >> 8u) >= params.threshold;
}

// Which of the elements e … e+3 it keeps.
fn kept_four(e: u32) -> vec4<bool> {
  var words = block(e / 4u);
  let shift = e % 4u;
  if (shift > 0u) { // not aligned: Tk is not a multiple of 4
    let next = block(e / 4u + 1u);
    if (shift == 1u) { words = vec4u(words.yzw, next.x); }
    else if (shift == 2u) { words = vec4u(words.zw, next.xy); }
    else { words = vec4u(words.w, next.xyz); }
  }
  return (words >> vec4u(8u)) >= vec4u(params.threshold);
}
