enable f16;

// s = s · factor + term in f16: as multiply-add.wgsl.
//
// Mapping: each invocation turns eight vectors round, independent of each other, so that none waits for its own last result.
// Traffic: one number written, so that the work can't be left out.
struct Params { rounds: u32, factor: f32, term: f32 } // 64 operations a round

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let factor = vec4h(f16(params.factor));
  let term = vec4h(f16(params.term));
  var s0 = vec4h(f16(id.x % 64u));
  var s1 = s0 + 1.0;
  var s2 = s0 + 2.0;
  var s3 = s0 + 3.0;
  var s4 = s0 + 4.0;
  var s5 = s0 + 5.0;
  var s6 = s0 + 6.0;
  var s7 = s0 + 7.0;
  for (var i = 0u; i < params.rounds; i++) {
    s0 = s0 * factor + term;
    s1 = s1 * factor + term;
    s2 = s2 * factor + term;
    s3 = s3 * factor + term;
    s4 = s4 * factor + term;
    s5 = s5 * factor + term;
    s6 = s6 * factor + term;
    s7 = s7 * factor + term;
  }
  let sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
  y[(id.x + id.y * workgroups.x * 64u) % 64u] = f32(sum.x + sum.y + sum.z + sum.w);
}
