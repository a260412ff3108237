// Weights kept in f16, two in a word, for the kernels that read them in place. Not a kernel by itself: with B as u32 these take the place of pair() and four().
fn pair(at: u32) -> vec2f { return unpack2x16float(b[at / 2u]); }

fn four(at: u32) -> vec4f { return vec4f(pair(at), pair(at + 2u)); }
