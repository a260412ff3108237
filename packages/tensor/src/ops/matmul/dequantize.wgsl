// Weights of 8 bits as f32 again, w = q · scale of the row: for products by kernels that don't read them in 8.
//
// Mapping: an invocation per word of four weights. Traffic: 1 byte read and 4 written per weight.
struct Params { words: u32, all: u32 } // words in a row, and in all

@group(0) @binding(0) var<storage, read> q: array<u32>;           // [rows, words], the first of four in the lowest bits
@group(0) @binding(1) var<storage, read> scale: array<f32>;       // [rows]
@group(0) @binding(2) var<storage, read_write> w: array<vec4f>;   // [rows, 4 · words]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.all) { return; }
  let word = q[i];
  w[i] = vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u)) * scale[i / params.words];
}
