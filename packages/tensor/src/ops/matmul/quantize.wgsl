// Rows of weights in 8 bits: q = round(w / scale) with scale = max |w| / 127, a scale for each row. Symmetric: 0 stays 0, and there is no offset.
//
// Mapping: an invocation per row, which it reads twice. Traffic: 8 bytes read and 1 written per weight, once when a model is opened.
struct Params { rows: u32, words: u32 } // words of four weights in a row

@group(0) @binding(0) var<storage, read> w: array<vec4f>;            // [rows, 4 · words]
@group(0) @binding(1) var<storage, read_write> q: array<u32>;        // [rows, words], the first of four in the lowest bits
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;    // [rows]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let first = row * params.words;
  var most = vec4f();
  for (var i = 0u; i < params.words; i++) { most = max(most, abs(w[first + i])); }
  let largest = max(max(most.x, most.y), max(most.z, most.w));
  let step = select(1.0, largest / 127.0, largest > 0.0); // a row of zeros
  scale[row] = step;
  for (var i = 0u; i < params.words; i++) {
    let four = bitcast<vec4u>(vec4i(clamp(round(w[first + i] / step), vec4f(-127.0), vec4f(127.0)))) & vec4u(255u);
    q[first + i] = four.x | (four.y << 8u) | (four.z << 16u) | (four.w << 24u);
  }
}
