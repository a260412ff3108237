// adamw.wgsl for three small parameters in one dispatch: biases, layer norms. Their m and v lie in one buffer for all small parameters
// of an optimizer, so three p and three g fit into the eight buffers that WebGPU promises.
//
// Mapping: workgroups (·, j) have parameter j, one invocation per four elements. Traffic: 28 bytes an element.
override DECOUPLED: bool = true;

struct Params {
  vectors: vec3u,           // elements / 4 of each, rounded up
  at: vec3u,                // where its m begins, in vectors; its v comes behind it
  records: vec3u,           // where the clock has its corrections; 0 has 1, 1
  step_size: f32,           // the rest is that of adamw.wgsl
  decay: f32,
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  inverse_root_correction2: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read_write> p0: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> p1: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> p2: array<vec4f>;
@group(0) @binding(3) var<storage, read> g0: array<vec4f>;
@group(0) @binding(4) var<storage, read> g1: array<vec4f>;
@group(0) @binding(5) var<storage, read> g2: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> moments: array<vec4f>;
@group(0) @binding(7) var<storage, read> clock: array<vec4f>; // first: the factor; 1, or 0 to leave the step out; 1; 1
@group(0) @binding(8) var<uniform> params: Params;

struct Element { p: vec4f, g: vec4f }

fn load(j: u32, i: u32) -> Element {
  switch j {
    case 0u: { return Element(p0[i], g0[i]); }
    case 1u: { return Element(p1[i], g1[i]); }
    default: { return Element(p2[i], g2[i]); }
  }
}

fn store(j: u32, i: u32, value: vec4f) {
  switch j {
    case 0u: { p0[i] = value; }
    case 1u: { p1[i] = value; }
    default: { p2[i] = value; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
  let i = id.x;
  let j = workgroup.y;
  let now = clock[0];
  if (i >= params.vectors[j] || now.y == 0.0) { return; }
  let corrections = clock[params.records[j]].zw;
  let at_m = params.at[j] + i;
  let at_v = at_m + params.vectors[j];
  let before = load(j, i);
  let gradient = before.g * now.x + select(params.decay * before.p, vec4f(), DECOUPLED);
  let decayed = before.p - select(vec4f(), params.decay * before.p, DECOUPLED);
  let mean = params.beta1 * moments[at_m] + params.one_minus_beta1 * gradient;
  let square = params.beta2 * moments[at_v] + params.one_minus_beta2 * gradient * gradient;
  moments[at_m] = mean;
  moments[at_v] = square;
  let root = sqrt(square) * (params.inverse_root_correction2 * corrections.y);
  store(j, i, decayed - params.step_size * corrections.x * mean / (root + params.eps));
}
