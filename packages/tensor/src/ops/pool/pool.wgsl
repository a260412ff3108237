// y = the largest element of each window, and where it is (MAX), or the windows' mean. Windows lie at a stride, or, ADAPTIVE, divide x
// evenly: window i from ⌊i · size / out⌋ to ⌈(i + 1) · size / out⌉, so that some may overlap.
//
// The first of equal elements counts as the largest, in row-major order; NaN wins, recognized by its bits. Padding never wins.
// Mapping: one invocation per window. Traffic: x is read once (more often where windows overlap), y and index written once.
override MAX: bool = false;
override ADAPTIVE: bool = false;

struct Params {
  count: u32, // windows
  size: vec2u, // of x: height, width
  out: vec2u,
  window: vec2u,
  stride: vec2u,
  dilation: vec2u,
  padding: vec2u,
  include: u32, // the mean counts padding, too
  divisor: f32, // of the mean, if it is not 0
}

@group(0) @binding(0) var<storage, read> x: array<f32>;            // [N, C, height, width]
@group(0) @binding(1) var<storage, read_write> y: array<f32>;      // [N, C, out]
@group(0) @binding(2) var<storage, read_write> index: array<u32>;  // [N, C, out], written with MAX
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let o = vec2i(vec2u(i / params.out.y % params.out.x, i % params.out.y));
  let size = vec2i(params.size);
  var step = vec2i(params.dilation);
  var first = o * vec2i(params.stride) - vec2i(params.padding);
  var end = first + vec2i(params.window) * step;
  if (ADAPTIVE) {
    let out = vec2i(params.out);
    step = vec2i(1);
    first = o * size / out;
    end = ((o + 1) * size + out - 1) / out;
  }
  let padded = min(end, size + vec2i(params.padding)) - first; // a window that sticks out further counts for less
  first += max(vec2i(), (step - 1 - first) / step) * step;     // the first place inside
  end = min(end, size);

  let plane = i / (params.out.x * params.out.y) * params.size.x * params.size.y;
  var sum = 0.0;
  var best = 0.0;
  var best_at = -1;
  var settled = false; // at a NaN
  for (var row = first.x; row < end.x; row += step.x) {
    for (var column = first.y; column < end.y; column += step.y) {
      let at = row * size.y + column;
      let v = x[plane + u32(at)];
      sum += v;
      let nan = (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
      if (!settled && (best_at < 0 || nan || v > best)) {
        best = v;
        best_at = at;
        settled = nan;
      }
    }
  }
  if (MAX) {
    y[i] = best;
    index[i] = u32(best_at);
  } else {
    let inside = max(end - first, vec2i());
    var divisor = f32(inside.x * inside.y);
    if (params.include != 0u && !ADAPTIVE) { divisor = f32(padded.x * padded.y); }
    if (params.divisor != 0.0) { divisor = params.divisor; }
    y[i] = sum / divisor;
  }
}
