// Partial norms of one gradient: slot k gets the sum over i ≡ k (mod slots) of |x_i| (NORM 1) or x_i² (NORM 2), or the largest
// |x_i| (NORM 0, for the infinity norm). The slots of all gradients lie side by side; `clip-factor.wgsl` adds them up.
//
// Largest by the bits of |x|: for positive floats the order of the bits is the order of the values, infinity lies above all
// numbers and NaN above infinity, so both get through, which WGSL's max() doesn't promise.
// Mapping: one invocation per slot; neighbours read neighbouring elements.
override NORM: u32 = 2;

struct Params { count: u32, slots: u32, first: u32 } // first: this gradient's first slot

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let slot = id.x + id.y * workgroups.x * 64u;
  if (slot >= params.slots) { return; }
  var sum = 0.0;
  var largest = 0u;
  for (var i = slot; i < params.count; i += params.slots) {
    if (NORM == 0u) { largest = max(largest, bitcast<u32>(x[i]) & 0x7fffffffu); }
    else if (NORM == 1u) { sum += abs(x[i]); }
    else { sum += x[i] * x[i]; }
  }
  partials[params.first + slot] = select(sum, bitcast<f32>(largest), NORM == 0u);
}
