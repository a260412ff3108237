// A layer of gated recurrent units over a sequence: r, z = σ(W x + U h), n = tanh((W x)ₙ + r (U h)ₙ), then h' = (1 − z) n + z h; both products have
// a bias. W x is given, of all steps at once; U h waits for the step before.
//
// Mapping: a workgroup has ROWS rows of the batch, an invocation one unit with its gates in all of them. Launched once for all steps, a workgroup
// makes all units of its rows, with a barrier after each step; launched step by step, workgroups share the units as well.
// Traffic of a step: weights are read once by each workgroup (from cache), h once for each SIZE units, 3 inputs per unit; 5 numbers are written.
const ROWS = 4u;            // of the batch, of a workgroup
override SIZE: u32 = 64;    // invocations of a workgroup
override CHUNK: u32 = 256;  // elements of a row that are held at once, a multiple of four
override UNROLL: bool = true; // the code for each of the ROWS on its own: sums stay in registers, but a CPU's compiler takes long

struct Params {
  batch: u32,
  units: u32,   // H
  steps: u32,   // T
  begin: u32,   // the first step to make, in the order in which they are made,
  end: u32,     // and the one after the last
  reverse: u32, // 1: from the last step of the sequence to its first
  one: u32,     // is 1, which a compiler can't know: a loop stays one
  stride: vec2u // from step to step, and from row to row of the batch, in states
}

@group(0) @binding(0) var<storage, read> inputs: array<f32>;        // [T, B, 3 H], or [B, T, 3 H]: W x + b
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;      // [H / 4, 3 H, 4]: U, four columns together, 0 beyond the last
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // [3 H]: of U h
@group(0) @binding(3) var<storage, read> first: array<f32>;         // [1, B, H]: h before the first step
@group(0) @binding(4) var<storage, read> lengths: array<i32>;       // [B]: later steps keep the state
@group(0) @binding(5) var<storage, read_write> states: array<f32>;  // [1, T, B, H] or [1, B, T, H]: h after each step
@group(0) @binding(6) var<storage, read_write> gates: array<vec4f>; // [T, B, H] or [B, T, H]: r, z, n, and (U h + b)ₙ, for the way back
@group(0) @binding(7) var<uniform> params: Params;

/// y, but v where that is NaN: by the bits, for compilers may assume that none is.
fn nan_of(v: vec4f, y: vec4f) -> vec4f {
  return select(y, v, (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

/// e^v = 2^n e^r with n = round(v / ln 2), |r| <= ln 2 / 2; ln 2 in two parts, the first so short that n times it is exact.
fn exp_exact(v: vec4f) -> vec4f {
  let c = clamp(v, vec4f(-104.5), vec4f(89.0)); // beyond, the result is 0 or infinity already
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r / 5040.0))))));
  let half = vec4i(n) >> vec4u(1u); // 2^n in two factors: one alone would leave the range of exponents
  let rest = vec4i(n) - half;
  return series * bitcast<vec4f>((half + 127) << vec4u(23u)) * bitcast<vec4f>((rest + 127) << vec4u(23u));
}

/// 1 / (1 + e^-v), with e^-|v| so that small results keep their precision; 2 σ(2v) - 1 is tanh v. NaN, which the rest may lose, stays.
fn sigmoid(v: vec4f) -> vec4f {
  let e = exp_exact(-abs(v));
  let y = select(vec4f(1.0), e, v < vec4f()) / (1.0 + e);
  return nan_of(v, y);
}

/// Below 0.55 Lambert's continued fraction x / (1 + x²/(3 + x²/(5 + x²/(7 + x²/9)))), beyond ±(1 - 2 / (e^2|x| + 1)).
fn tanh_exact(v: vec4f) -> vec4f {
  let z = v * v;
  let near = v * (945.0 + z * (105.0 + z)) / (945.0 + z * (420.0 + 15.0 * z));
  let far = 1.0 - 2.0 / (exp_exact(min(2.0 * abs(v), vec4f(40.0))) + 1.0);
  return nan_of(v, select(far * sign(v), near, abs(v) < vec4f(0.55)));
}

// Where the state of row b at step s lies, counted in states.
fn place(b: u32, s: u32) -> u32 {
  let t = select(s, params.steps - 1u - s, params.reverse == 1u);
  return t * params.stride.x + b * params.stride.y;
}

// Whether step s lies within row b.
fn inside(b: u32, s: u32) -> bool {
  return i32(select(s, params.steps - 1u - s, params.reverse == 1u)) < lengths[b];
}

// h of row b before step s.
fn before(b: u32, s: u32, j: u32) -> f32 {
  if (s == 0u) { return first[b * params.units + j]; }
  return states[place(b, s - 1u) * params.units + j];
}

var<workgroup> held: array<vec4f, ROWS * CHUNK / 4u>; // h of the rows, CHUNK units of it

// Unit j of row b at step s, of what U h gives to its gates.
fn gru_step(b: u32, s: u32, j: u32, product: vec4f) {
  let H = params.units;
  let at = place(b, s);
  var x: vec4f;
  var u = product;
  for (var g = 0u; g < 3u; g++) {
    x[g] = inputs[at * 3u * H + g * H + j];
    u[g] += bias[g * H + j];
  }
  let gate = sigmoid(x + u); // r, z
  let n = tanh_exact(vec4f(x.z + gate.x * u.z)).x;
  gates[at * H + j] = vec4f(gate.xy, n, u.z);
  let old = before(b, s, j);
  states[at * H + j] = select(old, (1.0 - gate.y) * n + gate.y * old, inside(b, s));
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = params;
  let row = group.x * ROWS;
  for (var s = p.begin; s < p.end; s++) {
    for (var unit = group.y * SIZE; unit < p.units; unit += groups.y * SIZE) {
      let j = unit + lane;
      var sums = array<vec4f, ROWS>(); // of U h, gate by gate
      for (var begin = 0u; begin < p.units; begin += CHUNK) {
        workgroupBarrier(); // everybody has read what is held
        for (var i = lane; i < ROWS * CHUNK / 4u; i += SIZE) {
          let b = row + i / (CHUNK / 4u);
          let k = begin + i % (CHUNK / 4u) * 4u;
          var four = vec4f();
          for (var e = 0u; e < 4u; e++) {
            if (b < p.batch && k + e < p.units) { four[e] = before(b, s, k + e); }
          }
          held[i] = four;
        }
        workgroupBarrier(); // everything is held
        let fours = (min(CHUNK, p.units - begin) + 3u) / 4u;
        for (var k = 0u; k < fours; k++) {
          let at = (begin / 4u + k) * 3u * p.units + j;
          let w0 = weight[at];
          let w1 = weight[at + p.units];
          let w2 = weight[at + 2u * p.units];
          for (var r = 0u; r < ROWS; r++) {
            let v = held[r * (CHUNK / 4u) + k];
            sums[r] += vec4f(dot(v, w0), dot(v, w1), dot(v, w2), 0.0);
          }
        }
      }
      for (var r = 0u; r < ROWS; r += select(p.one, 1u, UNROLL)) {
        if (j < p.units && row + r < p.batch) { gru_step(row + r, s, j, sums[r]); }
      }
    }
    storageBarrier(); // the next step reads the states that this one wrote
  }
}
