// The total norm from all partials, and the factor min(1, max_norm / (norm + 1e-6)) that clipping multiplies by.
//
// Mapping: one workgroup; each invocation adds every 64th partial, then the first adds the 64 sums. The 1e-6 is PyTorch's.
override NORM: u32 = 2; // 0: largest, 1: sum, 2: root of the sum

struct Params { slots: u32, max_norm: f32 }

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> norm: array<f32>;   // [1]
@group(0) @binding(2) var<storage, read_write> factor: array<f32>; // [1]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, 64>;

fn merge(a: f32, b: f32) -> f32 {
  if (NORM == 0u) { return bitcast<f32>(max(bitcast<u32>(a), bitcast<u32>(b))); } // both are ≥ 0: see norm-partials.wgsl
  return a + b;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.slots; i += 64u) { sum = merge(sum, partials[i]); }
  sums[lane] = sum;
  workgroupBarrier(); // the first invocation reads what all have written
  if (lane > 0u) { return; }
  for (var k = 1u; k < 64u; k++) { sum = merge(sum, sums[k]); }
  let total = select(sum, sqrt(sum), NORM == 2u);
  norm[0] = total;
  // WGSL promises nothing for NaN and infinity: the cases are told apart by the bits.
  let bits = bitcast<u32>(total) & 0x7fffffffu;
  if (bits > 0x7f800000u) { factor[0] = total; }
  else if (bits == 0x7f800000u) { factor[0] = 0.0; }
  else { factor[0] = min(1.0, params.max_norm / (total + 1e-6)); }
}
