// y = softmax(x), or its logarithm with LOG, for each contiguous row: softmax-rows.wgsl, which has the formulas, for long rows on GPUs.
//
// Online: maximum and sum in one pass. When a larger m' turns up, what was summed is brought to it: Σ exp(x − m) exp(m − m').
// Mapping: one workgroup per row, neighbours reading neighbours; a tree in workgroup memory joins what they found, which holds at
// every subgroup size. Traffic: x is read twice (the second time from cache if the row fits there), y written once.
alias Lanes = f32; // elements that are read at once: vec4f where rows are whole vec4s
const WIDTH = 1u;  // how many these are
override LOG: bool = false;
override SIZE: u32 = 256; // invocations in a workgroup, a power of two

struct Params { rows: u32, vectors: u32 } // vectors: of a row

@group(0) @binding(0) var<storage, read> x: array<Lanes>;       // [rows, vectors]
@group(0) @binding(1) var<storage, read_write> y: array<Lanes>; // [rows, vectors]
@group(0) @binding(2) var<uniform> params: Params;

struct Online { m: f32, sum: f32 } // Σ exp(x − m) of some elements, and their m = max x

fn join(a: Online, b: Online) -> Online {
  let m = max(a.m, b.m);
  return Online(m, a.sum * exp(a.m - m) + b.sum * exp(b.m - m));
}

var<workgroup> tree: array<Online, SIZE>;

// What all invocations of the workgroup have found, for all of them.
fn join_all(mine: Online, lane: u32) -> Online {
  tree[lane] = mine;
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the upper half is written
    if (lane < half) { tree[lane] = join(tree[lane], tree[lane + half]); }
  }
  return workgroupUniformLoad(&tree[0]); // waits before it reads
}

// The largest lane, and the sum of all; vec4f(v) repeats an f32 four times.
fn max_of(v: Lanes) -> f32 {
  let w = vec4f(v);
  return max(max(w.x, w.y), max(w.z, w.w));
}
fn sum_of(v: Lanes) -> f32 { return dot(vec4f(v), vec4f(1.0)) * (f32(WIDTH) / 4.0); }

// Whether a lane is NaN: by the bits, for WGSL may assume that none is, and its exp and log may make anything of it.
fn has_nan(v: Lanes) -> bool { return any((bitcast<vec4u>(vec4f(v)) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u)); }

@compute @workgroup_size(SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * workgroups.x;
  if (row >= params.rows) { return; } // the whole workgroup
  let first = row * params.vectors;
  let end = first + params.vectors;

  var found = Online(-0x1.fffffep+127, 0.0); // the lowest finite one: from −∞, a row that begins with −∞ would become NaN
  for (var i = first + lane; i < end; i += SIZE) {
    let v = x[i];
    let m = max(found.m, max_of(v));
    found = Online(m, found.sum * exp(found.m - m) + select(sum_of(exp(v - m)), sum_of(v), has_nan(v)));
  }
  found = join_all(found, lane);

  let log_sum = select(log(found.sum), found.sum, has_nan(Lanes(found.sum))); // taken off after m, since m + ln Σ would round the logarithm to m's last digit
  let scale = 1.0 / found.sum;
  for (var i = first + lane; i < end; i += SIZE) {
    if (LOG) { y[i] = (x[i] - found.m) - log_sum; } else { y[i] = exp(x[i] - found.m) * scale; }
  }
}
