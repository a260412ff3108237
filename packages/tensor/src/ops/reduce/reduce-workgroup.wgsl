// y = x_0 ∘ x_1 ∘ … along one dimension, ∘ being +, ·, max or min, in segments: a workgroup combines `length` elements of a line, or of ACROSS
// lines that lie side by side (columns).
//
// For GPUs, where it reads side by side what one invocation of reduce.wgsl would read one after the other. Sums carry what they
// round off, as explained there.
// Mapping: of SIZE invocations every ACROSS-th takes elements of the same line, in turns; then a tree in workgroup memory joins them. With V a
// vec4 an invocation takes four neighbours: of the line where ACROSS is 1, else of four lines.
// Traffic: x is read once, y written once.
alias E = f32; // f32, i32 or u32
alias V = f32; // E or vec4<E>
alias U = u32; // as wide as V
override FN: u32 = 0; // one of these
const SUM = 0u; const PROD = 1u; const MAX = 2u; const MIN = 3u;
override FLOAT: bool = true; // E is f32
override TIMES: bool = false;
override LANES: u32 = 1;  // of V
override SIZE: u32 = 256; // invocations in a workgroup
override ACROSS: u32 = 1; // a power of two: columns of V; for 1, inner is 1

struct Params { groups: u32, segments: u32, length: u32, n: u32, inner: u32, zero: u32 } // length, n and inner: in units of V

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

/// A sum with what it lost; an infinite one has lost nothing that can be known.
fn rounded(p: Partial) -> V {
  if (FN != SUM || !FLOAT) { return p.value; }
  return select(p.value, p.value + p.lost, size(p.value + p.lost) < U(0x7f800000u));
}

var<workgroup> values: array<V, SIZE>;
var<workgroup> losses: array<V, SIZE>;

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = group.x + group.y * workgroups.x;
  if (i >= params.groups) { return; } // the whole workgroup
  let blocks = (params.inner + ACROSS - 1u) / ACROSS;
  let line = i / blocks; // outer · segments + segment
  let column = (i - line * blocks) * ACROSS + lane % ACROSS;
  let outer = line / params.segments;
  let first = (line - outer * params.segments) * params.length;
  let count = min(params.length, params.n - first);
  let base = (outer * params.n + first) * params.inner + column;
  let turn = lane / ACROSS;
  var p = Partial();
  if (column < params.inner) {
    if (turn < count) { p = term(base + turn * params.inner); }
    for (var k = turn + SIZE / ACROSS; k < count; k += SIZE / ACROSS) { p = combine(p, term(base + k * params.inner)); }
  }
  values[lane] = p.value;
  losses[lane] = p.lost;

  let used = min(SIZE, count * ACROSS); // invocations that have something
  for (var half = SIZE / 2u; half >= ACROSS; half /= 2u) {
    workgroupBarrier(); // what the other half has written is read now
    if (lane < half && lane + half < used) {
      p = combine(p, Partial(values[lane + half], losses[lane + half]));
      values[lane] = p.value;
      losses[lane] = p.lost;
    }
  }
  if (lane >= ACROSS || column >= params.inner) { return; }
  if (ACROSS == 1u) {
    let lane_values = vec4<E>(p.value);
    let lane_losses = vec4<E>(p.lost);
    var all = Partial(V(lane_values.x), V(lane_losses.x));
    for (var k = 1u; k < LANES; k++) { all = combine(all, Partial(V(lane_values[k]), V(lane_losses[k]))); }
    y[i] = vec4<E>(rounded(all)).x;
  } else {
    let four = vec4<E>(rounded(p));
    for (var k = 0u; k < LANES; k++) { y[(line * params.inner + column) * LANES + k] = four[k]; }
  }
}
