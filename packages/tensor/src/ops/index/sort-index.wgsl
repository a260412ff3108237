// Sorts a list of numbers, equal ones by position: keys[r] = index[i] and order[r] = i, where r = #{j: (index_j, j) < (index_i, i)}.
//
// Rank by counting: m² comparisons, but no atomics, no passes that wait for each other, and the same result every time. For the
// 2^11 to 2^12 ids of a batch that is milliseconds on a CPU adapter, microseconds on a GPU; from 2^15 on, radix sort would win.
// Mapping: one invocation per number, reading all of them, four at a time. Traffic: index m times (from cache), keys, order once.
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
  var before = vec4u(0u);
  for (var j = 0u; j < params.m; j += 4u) {
    let others = index[j / 4u];
    let at = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
    let less = (others < vec4u(key)) & (at < vec4u(params.m)); // beyond m: padding of the buffer
    let first = (others == vec4u(key)) & (at < vec4u(i));
    before += select(vec4u(0u), vec4u(1u), less | first);
  }
  let rank = before.x + before.y + before.z + before.w;
  keys[rank] = key;
  order[rank] = i;
}
