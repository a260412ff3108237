// y = x_0 ∘ x_1 ∘ … along one dimension, ∘ being +, ·, max or min, in segments: each invocation combines `length` elements of a line.
//
// Long lines take several dispatches: each makes the lines shorter by the length of a segment. So rounding errors grow with the
// logarithm of the length rather than with the length, and there is work for the whole device.
// Mapping: one invocation per element of y (of four, when V is a vec4); neighbours read neighbours whenever inner > 1.
// Traffic: x is read once, y written once.
alias V = f32; // f32, i32 or u32, or a vec4 of them
alias U = u32; // as wide as V
override FN: u32 = 0;   // 0 sum, 1 product, 2 maximum, 3 minimum
override FLOAT: bool = true;

struct Params { outputs: u32, segments: u32, length: u32, n: u32, inner: u32 } // n: elements of a line; inner: in units of V

@group(0) @binding(0) var<storage, read> x: array<V>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read_write> y: array<V>; // [outer, segments, inner], outputs in all
@group(0) @binding(2) var<uniform> params: Params;

/// Compilers may take NaN for absent, so it is told by its bits.
fn either_nan(value: V, a: V, b: V) -> V {
  let size_a = bitcast<U>(a) & U(0x7fffffffu);
  let size_b = bitcast<U>(b) & U(0x7fffffffu);
  return select(select(value, b, size_b > U(0x7f800000u)), a, size_a > U(0x7f800000u));
}

fn combine(a: V, b: V) -> V {
  switch FN {
    case 0u: { return a + b; }
    case 1u: { return a * b; }
    default: {
      let best = select(min(a, b), max(a, b), FN == 2u);
      if (FLOAT) { return either_nan(best, a, b); }
      return best;
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.outputs) { return; }
  let line = i / params.inner; // outer · segments + segment
  let outer = line / params.segments;
  let first = (line - outer * params.segments) * params.length;
  let end = min(first + params.length, params.n);
  let base = outer * params.n * params.inner + i % params.inner;
  var result = x[base + first * params.inner];
  for (var k = first + 1u; k < end; k++) { result = combine(result, x[base + k * params.inner]); }
  y[i] = result;
}
