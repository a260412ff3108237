// columns[c, k, n, o] = x[n, c, o stride + k dilation − padding], 0 beyond x's edges, for each place k of a window and each output o:
// a convolution is then one product of matrices. With FOLD the transpose, x[n, c, i] = Σ of the columns that were read from i.
//
// Mapping: one invocation per element of the result, so that nobody adds to what another writes; on CPUs, where dividing is slow, per RUN
// columns. Traffic: x is read once for each place
// of a window (from cache), columns are written once; FOLD the other way round. Columns may be of some images, or of some rows of outputs of one.
override FOLD: bool = false;
override ADD: bool = false; // FOLD adds to what x holds, of other rows of outputs
override RUN: u32 = 1; // elements of an invocation, next to each other in a row of outputs; 1 with FOLD

struct Params {
  count: u32, // elements of the result; of x, those of these images
  batch: u32, // images in columns
  channels: u32,
  size: vec2u, // of x: height, width
  window: vec2u,
  out: vec2u,     // rows in columns, and their width
  first: vec2u,   // the first image and the first row of outputs
  stride: vec2u,
  dilation: vec2u,
  padding: vec2u, // before the first row and column
}

@group(0) @binding(0) var<storage, read> source: array<f32>;       // x [N, C, height, width], or columns
@group(0) @binding(1) var<storage, read_write> result: array<f32>; // columns [C, window, images, out], or x
@group(0) @binding(2) var<uniform> params: Params;

// The columns from `first` up to `end`, which lie in one row of outputs.
fn unfold(first: u32, end: u32) {
  let o = vec2u(params.first.y + first / params.out.y % params.out.x, first % params.out.y);
  let image = first / (params.out.x * params.out.y);
  let place = image / params.batch;
  let n = params.first.x + image - place * params.batch;
  let k = vec2u(place / params.window.y % params.window.x, place % params.window.y);
  let c = place / (params.window.x * params.window.y);
  var at = o * params.stride + k * params.dilation - params.padding; // before the first one it wraps around, beyond any size
  let row = ((n * params.channels + c) * params.size.x + at.x) * params.size.y;
  for (var i = first; i < end; i++) {
    var value = 0.0;
    if (all(at < params.size)) { value = source[row + at.y]; }
    result[i] = value;
    at.y += params.stride.y;
  }
}

fn fold(i: u32) -> f32 {
  let at = vec2u(i / params.size.y % params.size.x, i % params.size.y);
  let image = i / (params.size.x * params.size.y);
  let n = image / params.channels;
  let c = image - n * params.channels;
  var sum = 0.0;
  for (var ky = 0u; ky < params.window.x; ky++) {
    for (var kx = 0u; kx < params.window.y; kx++) {
      let k = vec2u(ky, kx);
      let first = at + params.padding - k * params.dilation; // wraps around where no output reaches so far back
      let place_of = first / params.stride;
      let o = place_of - vec2u(params.first.y, 0u); // wraps around before the first row
      if (all(o < params.out) && all(place_of * params.stride == first)) {
        let place = (c * params.window.x + ky) * params.window.y + kx;
        sum += source[((place * params.batch + n) * params.out.x + o.x) * params.out.y + o.y];
      }
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count / RUN) { return; }
  if (FOLD) {
    let at = params.first.x * params.channels * params.size.x * params.size.y + i;
    if (ADD) { result[at] += fold(i); } else { result[at] = fold(i); }
  } else { unfold(i * RUN, i * RUN + RUN); }
}
