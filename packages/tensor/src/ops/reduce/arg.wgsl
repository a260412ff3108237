// index[o, s, i] = where the largest (smallest) element of a segment of line (o, i) of x is in that line; the first of equals.
//
// A line of many segments takes several dispatches: each compares the elements that the one before has chosen. NaN counts as
// the extreme, and is recognized by its bits, because compilers may take it for absent.
// Mapping: one invocation per segment. Traffic: x is read once, then at the candidates; index written once.
alias T = f32; // f32, i32 or u32
override FLOAT: bool = true;     // T is f32
override SMALLEST: bool = false;
override FIRST: bool = true;     // all elements are candidates; else those at `candidates`

struct Params { segments_in_all: u32, segments: u32, length: u32, n: u32, count: u32, inner: u32 } // n: elements of a line; count: candidates of a line

@group(0) @binding(0) var<storage, read> x: array<T>;            // [outer, n, inner]
@group(0) @binding(1) var<storage, read> candidates: array<u32>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read_write> index: array<u32>; // [outer, segments, inner]
@group(0) @binding(3) var<uniform> params: Params;

fn is_nan(v: T) -> bool { return FLOAT && (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.segments_in_all) { return; }
  let line = i / params.inner; // outer · segments + segment
  let outer = line / params.segments;
  let within = i % params.inner;
  let first = (line - outer * params.segments) * params.length;
  let end = min(first + params.length, params.count);
  var best_at = 0u;
  var best = T();
  var settled = false; // at a NaN
  for (var k = first; k < end; k++) {
    var at = k;
    if (!FIRST) { at = candidates[(outer * params.count + k) * params.inner + within]; }
    let v = x[(outer * params.n + at) * params.inner + within];
    let better = k == first || is_nan(v) || select(v > best, v < best, SMALLEST);
    if (better && !settled) {
      best = v;
      best_at = at;
      settled = is_nan(v);
    }
  }
  index[i] = best_at;
}
