// Weights kept in f16, two in a word, for the kernels that read them in place. Not a kernel by itself: with B as u32 this takes the place of four().

fn four(at: u32) -> vec4f { return vec4f(unpack2x16float(b[at / 2u]), unpack2x16float(b[at / 2u + 1u])); }
