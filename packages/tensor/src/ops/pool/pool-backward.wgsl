// dx = Σ dy of the windows whose largest element this is (MAX), or Σ dy / divisor of all windows that it is in: see pool.wgsl.
//
// Each element looks at the windows that reach it, so nobody adds to what another writes, and the order is the same every time.
// Mapping: one invocation per element of x. Traffic: dy (and index) are read once for each window around an element, dx written once.
override MAX: bool = false;
override ADAPTIVE: bool = false;

struct Params {
  count: u32, // elements of x
  size: vec2u, // of x: height, width
  out: vec2u,
  window: vec2u,
  stride: vec2u,
  dilation: vec2u,
  padding: vec2u,
  include: u32,
  divisor: f32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;       // [N, C, out]
@group(0) @binding(1) var<storage, read> index: array<u32>;    // [N, C, out], read with MAX
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [N, C, height, width]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let size = vec2i(params.size);
  let out = vec2i(params.out);
  let at = vec2i(vec2u(i / params.size.y % params.size.x, i % params.size.y));
  let stride = vec2i(params.stride);
  let padding = vec2i(params.padding);
  let reach = (vec2i(params.window) - 1) * vec2i(params.dilation);
  var first = max((at + padding - reach + stride - 1) / stride, vec2i()); // below 0 the division rounds up, to 0 at most
  var last = min((at + padding) / stride, out - 1);
  if (ADAPTIVE) {
    first = at * out / size;
    last = min(((at + 1) * out + size - 1) / size - 1, out - 1);
  }
  let plane = i / (params.size.x * params.size.y) * params.out.x * params.out.y;
  let own = u32(at.x * size.y + at.y);
  var sum = 0.0;
  for (var row = first.x; row <= last.x; row++) {
    for (var column = first.y; column <= last.y; column++) {
      let o = vec2i(row, column);
      let window = plane + u32(row * out.y + column);
      if (MAX) {
        if (index[window] == own) { sum += dy[window]; }
        continue;
      }
      var begin = o * stride - padding;
      var end = begin + vec2i(params.window);
      if (ADAPTIVE) {
        begin = o * size / out;
        end = ((o + 1) * size + out - 1) / out;
      }
      if (any(at < begin) || any(at >= end)) { continue; }
      let padded = min(end, size + padding) - begin;
      let inside = min(end, size) - max(begin, vec2i());
      var divisor = f32(inside.x * inside.y);
      if (params.include != 0u && !ADAPTIVE) { divisor = f32(padded.x * padded.y); }
      if (params.divisor != 0.0) { divisor = params.divisor; }
      sum += dy[window] / divisor;
    }
  }
  dx[i] = sum;
}
