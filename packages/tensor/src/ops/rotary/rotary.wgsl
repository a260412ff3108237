// y = x turned by an angle per token and pair of elements: (a, b) → (a cos − b sin, b cos + a sin), where b is `half` elements after a, or
// with INTERLEAVED the next. Elements of a head after the pairs are copied. With BACK it turns back, which is also the gradient: a
// rotation's inverse is its transpose.
//
// Mapping: one invocation per pair, and per element that is copied. Traffic: x is read once, y written once; the angles come from cache.
override BACK: bool = false;
override INTERLEAVED: bool = false;

// lanes: the invocations of a head; rows: tokens that have angles of their own, T or B · T
struct Params { count: u32, rows: u32, heads: u32, half: u32, lanes: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [B, T, H, half + lanes]
@group(0) @binding(1) var<storage, read> cosine: array<f32>;  // [rows, half]
@group(0) @binding(2) var<storage, read> sine: array<f32>;    // [rows, half]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [B, T, H, half + lanes]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.count) { return; }
  let half = params.half;
  let d = e % params.lanes;
  let head = e / params.lanes; // of all heads of all tokens
  let first = head * (half + params.lanes);
  if (d >= half) {
    y[first + half + d] = x[first + half + d];
    return;
  }
  let angle = head / params.heads % params.rows * half + d;
  let at = first + select(d, 2u * d, INTERLEAVED);
  let partner = at + select(half, 1u, INTERLEAVED);
  let c = cosine[angle];
  let s = select(sine[angle], -sine[angle], BACK);
  let a = x[at];
  let b = x[partner];
  y[at] = a * c - b * s;
  y[partner] = b * c + a * s;
}
