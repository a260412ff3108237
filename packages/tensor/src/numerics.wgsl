// What a tensor holds, added to slot `slot` of a log: how many NaN, how many infinities, and the largest and smallest finite value.
//
// NaN and infinity are recognized by their bits, since compilers may assume that there are none. Values are compared as keys: unsigned
// integers in the order of the numbers. The smallest is kept as the largest complement, so that a slot begins as zeros.
// Mapping: each invocation reads every `threads`-th word and adds up for itself; then at most four integer atomics.
// Traffic: x is read once.
override DTYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16, 3 i32, 4 u32

struct Params { size: u32, words: u32, threads: u32, slot: u32 } // size in elements

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> slots: array<atomic<u32>>; // [slots, 4]
@group(0) @binding(2) var<uniform> params: Params;

var<private> nan = 0u;
var<private> inf = 0u;
var<private> largest = 0u;
var<private> smallest = 0u; // complement

// A half as an f32 of the same value, NaN and infinity kept.
fn widen(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let rest = half & 0x7fffu;
  if (rest >= 0x7c00u) { return sign | 0x7f800000u | ((rest & 0x3ffu) << 13u); }
  return sign | bitcast<u32>(bitcast<f32>(rest << 13u) * 0x1p112); // moves the exponent; subnormals come out 0 where those are flushed
}

fn count(bits: u32) {
  var key = bits;
  if (DTYPE < 3u) {
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { nan++; return; }
    if (magnitude == 0x7f800000u) { inf++; return; }
  }
  if (DTYPE == 3u) { key = bits ^ 0x80000000u; }
  if (DTYPE < 3u) { key = select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u); }
  largest = max(largest, key);
  smallest = max(smallest, ~key);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let first = id.x + id.y * workgroups.x * 64u;
  if (first >= params.threads || first >= params.words) { return; }
  for (var i = first; i < params.words; i += params.threads) {
    if (DTYPE == 1u || DTYPE == 2u) {
      let low = x[i] & 0xffffu;
      let high = x[i] >> 16u;
      count(select(low << 16u, widen(low), DTYPE == 1u));
      if (2u * i + 1u < params.size) { count(select(high << 16u, widen(high), DTYPE == 1u)); }
    } else {
      count(x[i]);
    }
  }
  let at = 4u * params.slot;
  if (nan > 0u) { atomicAdd(&slots[at], nan); }
  if (inf > 0u) { atomicAdd(&slots[at + 1u], inf); }
  atomicMax(&slots[at + 2u], largest);
  atomicMax(&slots[at + 3u], smallest);
}
