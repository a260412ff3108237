// Weights [N, K] in fewer bits, for matmul-subgroup.cpu.wgsl. Not a kernel by itself: with the four() of weights-f16.wgsl or weights-i8.wgsl this takes the
// place of its columns(), which reads f32.
@group(0) @binding(6) var<storage, read> b: array<u32>;

fn columns(first: u32, k: u32) -> mat4x4f {
  let at = first + k;
  let line = params.b_line;
  return transpose(mat4x4f(rounded(four(at)), rounded(four(at + line)), rounded(four(at + 2u * line)), rounded(four(at + 3u * line))));
}
