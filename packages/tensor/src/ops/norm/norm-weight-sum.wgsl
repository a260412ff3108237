// Stage two of dweight and dbias: the sums of all blocks' partial sums.
//
// Mapping: a workgroup for WIDE columns of the two side by side; invocation (wide, deep) adds up every DEEP-th block, and a tree in
// workgroup memory joins them, as in norm-weight-backward.wgsl. Traffic: partial is read once.
override WIDE: u32 = 32; // invocations side by side
override DEEP: u32 = 8;  // invocations below each other, a power of two

struct Params { cols: u32, blocks: u32 }

@group(0) @binding(0) var<storage, read> partial: array<f32>;       // [blocks, 2, cols]
@group(0) @binding(1) var<storage, read_write> dweight: array<f32>; // [cols]
@group(0) @binding(2) var<storage, read_write> dbias: array<f32>;   // [cols]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tree: array<f32, WIDE * DEEP>;

@compute @workgroup_size(WIDE, DEEP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_id) at: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let column = (group.x + group.y * workgroups.x) * WIDE + at.x;
  let stride = 2u * params.cols;
  var sum = 0.0;
  if (column < stride) {
    for (var b = at.y; b < params.blocks; b += DEEP) { sum += partial[b * stride + column]; }
  }
  if (DEEP > 1u) {
    tree[lane] = sum;
    for (var half = DEEP / 2u; half > 0u; half /= 2u) {
      workgroupBarrier(); // the lower half is written
      if (at.y < half) {
        sum += tree[lane + half * WIDE];
        tree[lane] = sum;
      }
    }
  }
  if (at.y > 0u || column >= stride) { return; }
  if (column < params.cols) { dweight[column] = sum; } else { dbias[column - params.cols] = sum; }
}
