// Sorts each BLOCK neighbours of a list of numbers, equal ones by position: keys[r] = index[i] and order[r] = i. merge-runs.wgsl makes a
// whole of the blocks.
//
// Rank by counting: r is how many of the block come before i, so nobody waits for anybody, and the result is the same every time.
// Mapping: one invocation per number, reading its block four at a time. Traffic: index BLOCK times (from cache), keys and order once.
const BLOCK = 64u; // a multiple of four

struct Params { m: u32 }

@group(0) @binding(0) var<storage, read> index: array<vec4u>;      // [m]
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;   // [m]
@group(0) @binding(2) var<storage, read_write> order: array<u32>;  // [m]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.m) { return; }
  let key = index[i / 4u][i % 4u];
  let first = (i / BLOCK) * BLOCK;
  var before = vec4u(0u);
  for (var j = first; j < min(first + BLOCK, params.m); j += 4u) {
    let others = index[j / 4u];
    let at = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
    let less = (others < vec4u(key)) & (at < vec4u(params.m)); // beyond m: padding of the buffer
    let earlier = (others == vec4u(key)) & (at < vec4u(i));
    before += select(vec4u(0u), vec4u(1u), less | earlier);
  }
  let rank = first + before.x + before.y + before.z + before.w;
  keys[rank] = key;
  order[rank] = i;
}
