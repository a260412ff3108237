// y[o] = (1 − w) x[i] + w x[i + 1] in each of two dimensions, where output o lies at i + w of x: at o · step, or between the centers of
// pixels, (o + ½) step − ½, below 0 taken as 0. The nearest one is x[⌊o · step⌋], or of the centers x[⌊(o + ½) step⌋].
// BACK goes back: each element of x takes from the outputs around it what they took from it, so that nobody adds to what another writes.
//
// Mapping: one invocation per element of the result. Traffic: what is read comes from cache mostly; the result is written once.
override LINEAR: bool = false;
override CENTERS: bool = false; // pixels are squares with centers; else points
override BACK: bool = false;

struct Params {
  count: u32, // elements of the result
  size: vec2u, // of x
  out: vec2u,  // of y
  step: vec2f, // of x for one of y
  step_rest: vec2f, // what rounding took from the steps
}

@group(0) @binding(0) var<storage, read> source: array<f32>;       // x [planes, size], or dy [planes, out]
@group(0) @binding(1) var<storage, read_write> result: array<f32>; // y [planes, out], or dx [planes, size]
@group(0) @binding(2) var<uniform> params: Params;

struct Place { first: u32, next: u32, share: f32 } // share: of next

fn place_of(o: u32, size: u32, step: f32, rest: f32) -> Place {
  let last = size - 1u;
  let center = select(0.0, 0.5, CENTERS);
  let at = f32(o) + center;
  if (!LINEAR) {
    let nearest = min(u32(at * step), last);
    return Place(nearest, nearest, 0.0);
  }
  let first = min(u32(max(at * step - center, 0.0)), last);
  let share = max(fma(at, step, -(center + f32(first))) + at * rest, 0.0); // without the digits that `first` would take
  return Place(first, min(first + 1u, last), select(0.0, share, first < last));
}

/// What output `o` takes of element `at`.
fn share_of(at: u32, o: u32, size: u32, step: f32, rest: f32) -> f32 {
  let p = place_of(o, size, step, rest);
  return select(0.0, 1.0 - p.share, p.first == at) + select(0.0, p.share, p.next == at);
}

/// Outputs that may take something of element `at`: a few more rather than less.
fn outputs_of(at: u32, size: u32, out: u32, step: f32) -> vec2u {
  if (step <= 0.0) { return vec2u(0u, out); }
  let first = max((f32(at) - 1.0) / step - 2.0, 0.0);
  let end = select((f32(at) + 2.0) / step + 2.0, f32(out), at + 1u == size);
  return vec2u(u32(first), min(u32(end), out));
}

fn forward(i: u32) -> f32 {
  let plane = i / (params.out.x * params.out.y) * params.size.x * params.size.y;
  let rows = place_of(i / params.out.y % params.out.x, params.size.x, params.step.x, params.step_rest.x);
  let columns = place_of(i % params.out.y, params.size.y, params.step.y, params.step_rest.y);
  let above = plane + rows.first * params.size.y;
  if (!LINEAR) { return source[above + columns.first]; }
  let below = plane + rows.next * params.size.y;
  let a = source[above + columns.first] * (1.0 - columns.share) + source[above + columns.next] * columns.share;
  let b = source[below + columns.first] * (1.0 - columns.share) + source[below + columns.next] * columns.share;
  return a * (1.0 - rows.share) + b * rows.share;
}

fn back(i: u32) -> f32 {
  let at = vec2u(i / params.size.y % params.size.x, i % params.size.y);
  let plane = i / (params.size.x * params.size.y) * params.out.x * params.out.y;
  let rows = outputs_of(at.x, params.size.x, params.out.x, params.step.x);
  let columns = outputs_of(at.y, params.size.y, params.out.y, params.step.y);
  var sum = 0.0;
  for (var row = rows.x; row < rows.y; row++) {
    let share = share_of(at.x, row, params.size.x, params.step.x, params.step_rest.x);
    if (share == 0.0) { continue; }
    for (var column = columns.x; column < columns.y; column++) {
      let part = share * share_of(at.y, column, params.size.y, params.step.y, params.step_rest.y);
      sum += part * source[plane + row * params.out.y + column];
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.count) { return; }
  if (BACK) { result[i] = back(i); } else { result[i] = forward(i); }
}
