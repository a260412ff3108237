// drows[i, r] = scale Σ_j dy_ij over the keys at a distance of number r, or with COLUMNS dcolumns[j, r] = scale Σ_i dy_ij likewise.
//
// The distances of a number are neighbours (ranges), so each invocation adds up one run of dy, the same order every time.
// Mapping: one invocation per element of the table. Traffic: dy is read once, the gradient written once.
override COLUMNS: bool = false;

struct Params { size: u32, length: u32, width: u32, first: u32, middle: u32, scale: f32, numbered: u32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;          // [N, T, T]
@group(0) @binding(1) var<storage, read> ranges: array<vec2i>;    // [numbers]: where they begin and end, the end not among them
@group(0) @binding(2) var<storage, read_write> dtable: array<f32>; // [N, T, R]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let length = i32(params.length);
  let t = i32(e / params.width % params.length);
  let matrix = i32(e / (params.width * params.length)) * length * length;
  let number = params.first + e % params.width;
  var range = vec2i();
  if (number < params.numbered) { range = ranges[number] - i32(params.middle); } // distances i − j
  var sum = 0.0;
  if (COLUMNS) {
    for (var i = max(t + range.x, 0); i < min(t + range.y, length); i++) { sum += dy[matrix + i * length + t]; }
  } else {
    for (var j = max(t - range.y + 1, 0); j < min(t - range.x + 1, length); j++) { sum += dy[matrix + t * length + j]; }
  }
  dtable[e] = params.scale * sum;
}
