// The random numbers of kernels with dropout inside: Philox, which dropout.wgsl explains.
// Not a kernel by itself: it goes in front of dropped.wgsl and attention's kept.wgsl.

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
