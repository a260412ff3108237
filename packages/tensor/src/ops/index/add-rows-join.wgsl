// dx[o, key, c] = Σ partial over the pieces that the run of `key` reaches into, for runs of several pieces.
//
// Second of two steps, after add-rows.wgsl. Rows of dx that no key names keep their 0; so does the row `skip` (padding).
// Mapping: one invocation per element (or four, Element = vec4f) of each piece but the first; it works where a run reaches into the piece
// from the one before, and into that one from none.
alias Element = f32;
override PIECE: u32 = 64;
override INNER: u32 = 1; // Elements in a row: known in advance, it is divided by with a multiplication

struct Params { count: u32, m: u32, n: u32, skip: u32, pieces: u32 } // count: in Elements

@group(0) @binding(0) var<storage, read> partial: array<Element>;  // [outer, pieces, 2, inner]: from the piece's begin, to its end
@group(0) @binding(1) var<storage, read> keys: array<u32>;         // [m], sorted
@group(0) @binding(2) var<storage, read_write> dx: array<Element>; // [outer, n, inner]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / INNER;
  let c = i - row * INNER;
  let outer = row / (params.pieces - 1u);
  let piece = row - outer * (params.pieces - 1u) + 1u;
  let at = piece * PIECE;
  let key = keys[at];
  if (keys[at - 1u] != key || key >= params.n || key == params.skip) { return; }
  let before = at - PIECE;
  if (before > 0u && keys[max(before, 1u) - 1u] == key) { return; } // the piece before does it

  let first = outer * params.pieces;
  let side = select(1u, 0u, keys[before] == key); // whether the run began with that piece, or inside it
  var sum = partial[((first + piece - 1u) * 2u + side) * INNER + c];
  for (var p = piece; p < params.pieces; p++) {
    if (keys[p * PIECE] != key) { break; }
    sum += partial[(first + p) * 2u * INNER + c];
  }
  dx[(outer * params.n + key) * INNER + c] = sum;
}
