// Weights kept in 8 bits, four in a word, for the kernels that read them in place; each column of C is multiplied by its own scale at the end. Not a
// kernel by itself: with B as u32 these take the place of four() and scales().
@group(0) @binding(8) var<storage, read> scale: array<f32>; // [N]

fn four(at: u32) -> vec4f {
  let word = b[at / 4u];
  return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
}

fn scales(col: u32) -> vec4f { return vec4f(scale[col], scale[col + 1u], scale[col + 2u], scale[col + 3u]); }
