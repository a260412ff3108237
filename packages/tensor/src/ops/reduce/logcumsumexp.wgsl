// y_k = ln(e^x_0 + … + e^x_k) along lines: the largest element so far, m, is taken out of the sum, so that no e^x overflows.
//
// Infinities are recognized by their size: ∞ − ∞ has no value, but ∞ among the elements makes the rest ∞, and −∞ adds nothing.
// Mapping: one invocation per line. Traffic: x is read once, y written once.
struct Params { lines: u32, n: u32, inner: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [outer, n, inner]
@group(0) @binding(2) var<uniform> params: Params;

const INF = 0x7f800000u;
const LARGEST = 3.4028234e38;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let line = id.x + id.y * workgroups.x * 64u;
  if (line >= params.lines) { return; }
  let step = params.inner;
  let first = (line / step) * params.n * step + line % step;
  let end = first + params.n * step;
  var m = -LARGEST;
  var sum = 0.0; // Σ e^(x − m)
  var settled = 0u; // the bits of NaN or ∞, once there was one
  for (var at = first; at < end; at += step) {
    let v = x[at];
    let bits = bitcast<u32>(v);
    if ((bits & 0x7fffffffu) > INF) { settled = bits; } else if (bits == INF && settled == 0u) { settled = INF; }
    if (v >= -LARGEST && settled == 0u) {
      if (v > m) {
        sum = sum * exp(m - v) + 1.0;
        m = v;
      } else {
        sum += exp(v - m);
      }
    }
    if (settled != 0u) {
      y[at] = bitcast<f32>(settled);
    } else if (sum > 0.0) {
      y[at] = m + log(sum);
    } else {
      y[at] = bitcast<f32>(INF | 0x80000000u | (settled & 1u)); // −∞; not a constant, which compilers refuse
    }
  }
}
