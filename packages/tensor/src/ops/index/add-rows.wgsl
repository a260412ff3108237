// partial[o, s, c] = Σ dy[o, order[k], c] over the run of equal keys that begins at s, at most to the next multiple of PIECE.
//
// First of two steps of dx[o, index[k], c] = Σ_k dy[o, k, c], the gradient of picking rows (see add-rows-join.wgsl). With the index
// sorted, the rows of one sum are a run; pieces keep a key that occurs thousands of times from being one long chain of additions.
// The order of adding is fixed: the same bits every time, which float atomics would not give.
// Mapping: one invocation per element (or four, Element = vec4f) of rows s where a run or piece begins; the others have nothing to do.
alias Element = f32;
override PIECE: u32 = 64;

struct Params { count: u32, inner: u32, m: u32 } // count, inner: in Elements

@group(0) @binding(0) var<storage, read> dy: array<Element>;            // [outer, m, inner]
@group(0) @binding(1) var<storage, read> keys: array<u32>;              // [m], sorted
@group(0) @binding(2) var<storage, read> order: array<u32>;             // [m]: where each key was
@group(0) @binding(3) var<storage, read_write> partial: array<Element>; // [outer, m, inner]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / params.inner;
  let c = i - row * params.inner;
  let first = (row / params.m) * params.m; // row 0 of this o
  let s = row - first;
  let key = keys[s];
  if (s % PIECE != 0u && keys[s - 1u] == key) { return; }

  let end = min((s / PIECE + 1u) * PIECE, params.m);
  var sum = Element(0.0);
  for (var k = s; k < end; k++) {
    if (keys[k] != key) { break; }
    sum += dy[(first + order[k]) * params.inner + c];
  }
  partial[i] = sum;
}
