// y = 1 where the bits of x say so, else 0: by the bits, because compilers may take NaN and infinity for absent.
//
// Mapping: one invocation per four elements; buffers are padded. Traffic: x is read once, y written once.
override FN: u32 = 0;         // one of these; the last asks for 0 or false
const ISNAN = 0u; const ISINF = 1u; const ISFINITE = 2u; const LOGICAL_NOT = 3u;
override FLOAT: bool = true;  // x is f32; else whole numbers or bool

struct Params { vectors: u32 } // elements / 4, rounded up

@group(0) @binding(0) var<storage, read> x: array<vec4u>;       // [vectors]
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>; // [vectors]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  let size = select(x[i], x[i] & vec4u(0x7fffffffu), FLOAT); // without the sign: -0 is 0 too
  let inf = vec4u(0x7f800000u);
  switch FN {
    case ISNAN: { y[i] = vec4u((size > inf) & vec4<bool>(FLOAT)); }
    case ISINF: { y[i] = vec4u((size == inf) & vec4<bool>(FLOAT)); }
    case ISFINITE: { y[i] = vec4u((size < inf) | vec4<bool>(!FLOAT)); }
    default: { y[i] = vec4u(size == vec4u()); }
  }
}
