// For matmul-subgroup.cpu.wgsl where rows of C don't begin at whole vectors. Not a kernel by itself: with C as f32 this takes the place of its write().
fn write(at: u32, sum: vec4f, count: u32) {
  for (var j = 0u; j < 4u; j++) {
    if (j >= count) { return; }
    if (params.accumulate == 1u) { c[at + j] += sum[j]; } else { c[at + j] = sum[j]; }
  }
}
