// y_k = x_0 + … + x_k along lines (with PROD x_0 · … · x_k), in segments: each invocation runs through `length` elements.
//
// A line of many segments takes three steps: the sums of its segments, their own running sums (this kernel, EXCLUSIVE), and
// then each segment from the sum of those before it.
// Mapping: one invocation per segment. Traffic: x is read once, y written once.
alias T = f32; // f32, i32 or u32
override REVERSE: bool = false;   // from the end of the line on: the gradient
override EXCLUSIVE: bool = false; // without x_k itself
override STARTS: bool = false;    // begin at `starts` instead of 0, or 1
override PROD: bool = false;

struct Params { segments_in_all: u32, segments: u32, length: u32, n: u32, inner: u32 } // n: elements of a line

@group(0) @binding(0) var<storage, read> x: array<T>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read> starts: array<T>;  // [outer, segments, inner]
@group(0) @binding(2) var<storage, read_write> y: array<T>; // [outer, n, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.segments_in_all) { return; }
  let line = i / params.inner; // outer · segments + segment
  let outer = line / params.segments;
  let first = (line - outer * params.segments) * params.length;
  let end = min(first + params.length, params.n);
  var sum = select(T(), T(1), PROD);
  if (STARTS) { sum = starts[i]; }
  for (var k = first; k < end; k++) {
    let at = (outer * params.n + select(k, first + end - 1u - k, REVERSE)) * params.inner + i % params.inner;
    let before = sum;
    if (PROD) { sum *= x[at]; } else { sum += x[at]; }
    y[at] = select(sum, before, EXCLUSIVE);
  }
}
