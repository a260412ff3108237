// dx[o, key, c] = Σ partial[o, s, c] over the pieces of the run of `key`: where it begins, and each multiple of PIECE inside it.
//
// Second of two steps, after add-rows.wgsl. Rows of dx that no key names keep their 0; so does the row `skip` (padding).
// Mapping: one invocation per element (or four, Element = vec4f) of rows s where a run begins.
alias Element = f32;
override PIECE: u32 = 64;

struct Params { count: u32, inner: u32, m: u32, n: u32, skip: u32 } // count, inner: in Elements

@group(0) @binding(0) var<storage, read> partial: array<Element>;  // [outer, m, inner]
@group(0) @binding(1) var<storage, read> keys: array<u32>;         // [m], sorted
@group(0) @binding(2) var<storage, read_write> dx: array<Element>; // [outer, n, inner], zero before
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / params.inner;
  let c = i - row * params.inner;
  let outer = row / params.m;
  let s = row - outer * params.m;
  let key = keys[s];
  if (key >= params.n || key == params.skip) { return; }
  if (s > 0u && keys[s - 1u] == key) { return; }

  var sum = partial[i];
  for (var k = (s / PIECE + 1u) * PIECE; k < params.m; k += PIECE) {
    if (keys[k] != key) { break; }
    sum += partial[(outer * params.m + k) * params.inner + c];
  }
  dx[(outer * params.n + key) * params.inner + c] = sum;
}
