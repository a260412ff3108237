// y = x_0 ∘ x_1 ∘ … along one dimension, ∘ being +, ·, max or min, in segments: each invocation combines `length` elements of a line.
//
// Sums carry what each addition rounds off (Knuth's two-sum), so each segment comes out as if rounded once. Lines of more than
// one segment take several dispatches. With TIMES, sums of products x w, whose own roundings are carried too (Dekker).
// Mapping: one invocation per element of y. With V a vec4: per four elements of y, neighbours reading neighbours, or with ROW
// (inner = 1), one line read by fours. Traffic: x is read once, y written once.
alias E = f32; // f32, i32 or u32
alias V = f32; // E or vec4<E>
alias U = u32; // as wide as V
override FN: u32 = 0; // one of these
const SUM = 0u; const PROD = 1u; const MAX = 2u; const MIN = 3u;
override FLOAT: bool = true; // E is f32
override TIMES: bool = false;
override LANES: u32 = 1; // of V
override ROW: bool = false;

struct Params { invocations: u32, segments: u32, length: u32, n: u32, inner: u32, zero: u32 } // length, n and inner: in units of V

@group(0) @binding(0) var<storage, read> x: array<V>;       // [outer, n, inner]
@group(0) @binding(1) var<storage, read> w: array<V>;       // [outer, n, inner], read with TIMES
@group(0) @binding(2) var<storage, read_write> y: array<E>; // [outer, segments, inner]
@group(0) @binding(3) var<uniform> params: Params;

/// v, in a way that compilers don't see through: else they take (a + b) - a for b.
fn opaque(v: V) -> V { return bitcast<V>(bitcast<U>(v) ^ U(params.zero)); }

/// NaN and infinity are recognized by their bits: compilers may take them for absent.
fn size(v: V) -> U { return bitcast<U>(v) & U(0x7fffffffu); }

/// The upper twelve bits of v's significand: the product of two such is exact.
fn upper(v: V) -> V { return bitcast<V>(bitcast<U>(v) & U(0xfffff000u)); }

struct Partial { value: V, lost: V } // lost: what roundings took away from a sum

fn term(at: u32) -> Partial {
  let a = x[at];
  if (!TIMES) { return Partial(a, V()); }
  let b = w[at];
  let product = opaque(a * b);
  let a1 = upper(a);
  let b1 = upper(b);
  return Partial(product, ((a1 * b1 - product) + a1 * (b - b1) + (a - a1) * b1) + (a - a1) * (b - b1));
}

fn combine(p: Partial, q: Partial) -> Partial {
  let a = p.value;
  let b = q.value;
  switch FN {
    case SUM: {
      if (!FLOAT) { return Partial(a + b, V()); }
      let sum = opaque(a + b);
      let b_part = opaque(sum - a);
      return Partial(sum, p.lost + q.lost + ((a - (sum - b_part)) + (b - b_part)));
    }
    case PROD: { return Partial(a * b, V()); }
    default: {
      let best = select(min(a, b), max(a, b), FN == MAX);
      if (!FLOAT) { return Partial(best, V()); }
      return Partial(select(select(best, b, size(b) > U(0x7f800000u)), a, size(a) > U(0x7f800000u)), V()); // NaN wins
    }
  }
}

/// A sum with what it lost; what an infinite one has lost cannot be known.
fn rounded(p: Partial) -> V {
  if (FN != SUM || !FLOAT) { return p.value; }
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
  var p = term(base + first * params.inner);
  for (var k = first + 1u; k < end; k++) { p = combine(p, term(base + k * params.inner)); }

  if (ROW) {
    let values = vec4<E>(p.value);
    let lost = vec4<E>(p.lost);
    var all = Partial(V(values.x), V(lost.x));
    for (var k = 1; k < 4; k++) { all = combine(all, Partial(V(values[k]), V(lost[k]))); }
    y[i] = vec4<E>(rounded(all)).x;
  } else {
    let values = vec4<E>(rounded(p));
    for (var k = 0u; k < LANES; k++) { y[LANES * i + k] = values[k]; }
  }
}
