// Weights [N, K] in fewer bits, for matmul-subgroup.cpu.wgsl. Not a kernel by itself: with the four() of weights-f16.wgsl or weights-i8.wgsl this takes the
// place of its columns(), which reads f32. Such weights are exact in f16, so there is nothing to round.
@group(0) @binding(6) var<storage, read> b: array<u32>;

fn columns(first: u32, k: u32) -> mat4x4f {
  let at = first + k;
  let line = params.b_line;
  return transpose(mat4x4f(four(at), four(at + line), four(at + 2u * line), four(at + 3u * line)));
}
