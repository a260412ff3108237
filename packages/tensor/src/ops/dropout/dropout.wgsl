// y_i = x_i · scale where element i is kept, else 0; scale = 1 / (1 − p). Backward is the same function of dy.
//
// Kept is decided by word i % 4 of Philox block i / 4 (random.ts has the same generator): nothing is stored, backward draws again.
// Mapping: one invocation per block, which is four elements; buffers are padded beyond the last. Traffic: x read, y written once.
struct Params {
  key: vec2u,
  counter: vec4u,  // of the first block: 128 bits, word 0 lowest
  vectors: u32,    // groups of four elements
  threshold: u32,  // p · 2^24: kept are words whose upper 24 bits reach it
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

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

fn block(i: u32) -> vec4u {
  var c = params.counter;
  c.x += i;
  if (c.x < i) { c.y++; if (c.y == 0u) { c.z++; if (c.z == 0u) { c.w++; } } } // carry
  return philox(c, params.key);
}

// What is left of dropped elements: 0 · v, which is NaN of NaN and infinity. By the bits, for WGSL may assume that there are none.
fn nothing_of(v: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(v);
  let finite = (bits & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
  return bitcast<vec4f>(select(bits | vec4u(0x400000u), vec4u(), finite)); // this bit makes NaN of infinity
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let kept = (block(i) >> vec4u(8u)) >= vec4u(params.threshold);
  y[i] = select(nothing_of(x[i]), x[i] * params.scale, kept);
}
