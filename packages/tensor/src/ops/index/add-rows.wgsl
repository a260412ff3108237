// dx[o, key, c] = Σ dy[o, order[k], c] over the run of equal keys, if it lies within a piece of PIECE keys; else its part in this piece
// goes to `partial`, for add-rows-join.wgsl.
//
// This is the gradient of picking rows: dx[o, index[k], c] = Σ_k dy[o, k, c]. With the index sorted, the rows of one sum are a run;
// pieces keep a key that occurs thousands of times from being one long chain of additions.
// The order of adding is fixed: the same bits every time, which float atomics would not give.
// Mapping: one invocation per element (or four, Element = vec4f) of rows s where a run or piece begins; the others have nothing to do.
alias Element = f32;
override PIECE: u32 = 64;
override INNER: u32 = 1; // Elements in a row: known in advance, it is divided by with a multiplication

struct Params { count: u32, m: u32, n: u32, skip: u32, pieces: u32 } // count: in Elements

@group(0) @binding(0) var<storage, read> dy: array<Element>;            // [outer, m, inner]
@group(0) @binding(1) var<storage, read> keys: array<u32>;              // [m], sorted
@group(0) @binding(2) var<storage, read> order: array<u32>;             // [m]: where each key was
@group(0) @binding(3) var<storage, read_write> dx: array<Element>;      // [outer, n, inner], zero before
@group(0) @binding(4) var<storage, read_write> partial: array<Element>; // [outer, pieces, 2, inner]: from the piece's begin, to its end
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / INNER;
  let c = i - row * INNER;
  let outer = row / params.m;
  let s = row - outer * params.m;
  let key = keys[s];
  let begins = s == 0u || keys[max(s, 1u) - 1u] != key;
  if ((s % PIECE != 0u && !begins) || key >= params.n || key == params.skip) { return; }

  let piece = s / PIECE;
  let end = min((piece + 1u) * PIECE, params.m);
  var sum = Element(0.0);
  var k = s;
  for (; k < end; k++) {
    if (keys[k] != key) { break; }
    sum += dy[(outer * params.m + order[k]) * INNER + c];
  }
  let ends = k == params.m || keys[min(k, params.m - 1u)] != key;
  if (begins && ends) {
    dx[(outer * params.n + key) * INNER + c] = sum;
  } else {
    let side = select(0u, 1u, s % PIECE != 0u);
    partial[((outer * params.pieces + piece) * 2u + side) * INNER + c] = sum;
  }
}
