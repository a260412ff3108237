// The loss scale after a step, by PyTorch's rule: a step with an infinite or NaN gradient shrinks it and restarts the count; after
// `interval` good steps in a row it grows and the count restarts, unless f32 would overflow. grad-scaler.ts says the same on the host.
//
// Mapping: one invocation.
struct Params { growth: f32, backoff: f32, interval: f32 }

@group(0) @binding(0) var<storage, read_write> scale: array<f32>;   // [1]
@group(0) @binding(1) var<storage, read_write> tracker: array<f32>; // [1]: good steps since the scale changed
@group(0) @binding(2) var<storage, read_write> found: array<f32>;   // [1]: 1 if a gradient was infinite or NaN; 0 afterwards
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  let good = tracker[0] + 1.0;
  if (found[0] != 0.0) {
    scale[0] *= params.backoff;
    tracker[0] = 0.0;
  } else if (good < params.interval) {
    tracker[0] = good;
  } else {
    let grown = scale[0] * params.growth;
    if (bitcast<u32>(grown) < 0x7f800000u) { scale[0] = grown; } // finite, judged by its bits
    tracker[0] = 0.0;
  }
  found[0] = 0.0;
}
