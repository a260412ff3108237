// The dropped() of a kernel with dropout inside: v · rescale where an element is kept, else 0; rescale = 1 / (1 − p).
// Not a kernel by itself: it takes the place of the dropped() of kernels that are whole without it (see ops/norm/ladder.ts). Random
// numbers are those of dropout.wgsl, which explains them, at the same places: the fused op and the separate one drop the same.

// What is left of dropped elements: 0 · v, which is NaN of NaN and infinity. By the bits, for WGSL may assume that there are none.
fn nothing_of(v: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(v);
  let finite = (bits & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
  return bitcast<vec4f>(select(bits | vec4u(0x400000u), vec4u(), finite)); // this bit makes NaN of infinity
}

// Elements 4 i … 4 i + 3 with dropout.
fn dropped(v: vec4f, i: u32) -> vec4f {
  var c = params.counter;
  c.x += i;
  if (c.x < i) { c.y++; if (c.y == 0u) { c.z++; if (c.z == 0u) { c.w++; } } } // carry
  let kept = (philox(c, params.key) >> vec4u(8u)) >= vec4u(params.threshold);
  return select(nothing_of(v), v * params.rescale, kept);
}
