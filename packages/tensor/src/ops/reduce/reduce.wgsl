// y = x_0 ∘ x_1 ∘ … along one dimension, ∘ being +, ·, max or min, in segments: each invocation combines `length` elements of a line.
//
// Sums carry what each addition rounds off (Knuth's two-sum), so they come out as if rounded once. Lines of more than one segment
// take several dispatches.
// Mapping: one invocation per element of y. With V a vec4: per four elements of y, neighbours reading neighbours, or with ROW
// (inner = 1), one line read by fours.
// Traffic: x is read once, y written once.
alias E = f32; // f32, i32 or u32
alias V = f32; // E or vec4<E>
alias U = u32; // as wide as V
override FN: u32 = 0; // 0 sum, 1 product, 2 maximum, 3 minimum
override FLOAT: bool = true; // E is f32
override LANES: u32 = 1;     // of V
override ROW: bool = false;

struct Params { invocations: u32, segments: u32, length: u32, n: u32, inner: u32, zero: u32 } // length, n and inner: in units of V

@group(0) @binding(0) var<storage, read> x: array<V>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read_write> y: array<E>; // [outer, segments, inner]
@group(0) @binding(2) var<uniform> params: Params;

/// NaN and infinity are told by their bits: compilers may take them for absent.
fn size(v: V) -> U { return bitcast<U>(v) & U(0x7fffffffu); }

/// v, in a way that compilers don't see through: else they take (a + b) - a for b.
fn opaque(v: V) -> V { return bitcast<V>(bitcast<U>(v) ^ U(params.zero)); }

struct Partial { value: V, lost: V } // lost: what roundings took away from a sum

fn combine(p: Partial, v: V) -> Partial {
  let a = p.value;
  switch FN {
    case 0u: {
      if (!FLOAT) { return Partial(a + v, V()); }
      let sum = opaque(a + v);
      let v_part = opaque(sum - a);
      return Partial(sum, p.lost + ((a - (sum - v_part)) + (v - v_part)));
    }
    case 1u: { return Partial(a * v, V()); }
    default: {
      let best = select(min(a, v), max(a, v), FN == 2u);
      if (!FLOAT) { return Partial(best, V()); }
      return Partial(select(select(best, v, size(v) > U(0x7f800000u)), a, size(a) > U(0x7f800000u)), V()); // NaN wins
    }
  }
}

/// A sum with what it lost; an infinite one has lost nothing that can be told.
fn rounded(p: Partial) -> V {
  if (FN != 0u || !FLOAT) { return p.value; }
  return select(p.value, p.value + p.lost, size(p.value + p.lost) < U(0x7f800000u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.invocations) { return; }
  let line = i / params.inner; // outer · segments + segment
  let outer = line / params.segments;
  let first = (line - outer * params.segments) * params.length;
  let end = min(first + params.length, params.n);
  let base = outer * params.n * params.inner + i % params.inner;
  var p = Partial(x[base + first * params.inner], V());
  for (var k = first + 1u; k < end; k++) { p = combine(p, x[base + k * params.inner]); }

  if (ROW) {
    let values = vec4<E>(p.value);
    let lost = vec4<E>(p.lost);
    var all = Partial(V(values.x), V(lost.x));
    for (var k = 1; k < 4; k++) {
      all = combine(all, V(values[k]));
      all.lost += V(lost[k]);
    }
    y[i] = vec4<E>(rounded(all)).x;
  } else {
    let values = vec4<E>(rounded(p));
    for (var k = 0u; k < LANES; k++) { y[LANES * i + k] = values[k]; }
  }
}
