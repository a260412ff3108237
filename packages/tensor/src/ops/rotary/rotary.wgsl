// y = x turned by an angle per token and pair of elements: (a, b) → (a cos − b sin, b cos + a sin), where b is half a head after a.
// With BACK it turns back, which is also the gradient: a rotation's inverse is its transpose.
//
// Mapping: one invocation per pair. Traffic: x is read once, y written once; the angles come from cache.
override BACK: bool = false;

struct Params { pairs: u32, tokens: u32, heads: u32, half: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;       // [B, T, H, 2 · half]
@group(0) @binding(1) var<storage, read> cosine: array<f32>;  // [T, half]
@group(0) @binding(2) var<storage, read> sine: array<f32>;    // [T, half]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [B, T, H, 2 · half]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.pairs) { return; }
  let half = params.half;
  let d = e % half;
  let head = e / half; // of all heads of all tokens
  let angle = head / params.heads % params.tokens * half + d;
  let at = head * 2u * half + d;
  let c = cosine[angle];
  let s = select(sine[angle], -sine[angle], BACK);
  let a = x[at];
  let b = x[at + half];
  y[at] = a * c - b * s;
  y[at + half] = b * c + a * s;
}
