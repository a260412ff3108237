// Back through lstm.wgsl, from the gradients dh and dc of what a step gives: dc' = dc + dh o (1 − tanh² c) is that of c by both ways, then
// di = dc' g i (1 − i), df = dc' c₋ f (1 − f), dg = dc' i (1 − g²), do = dh tanh(c) o (1 − o), with c₋ the c before, which gets dc' f.
//
// Steps are made from the last to the first; one more gives the gradient of the state before the first. dh = dh_t + Uᵀ d of the step made before.
// Mapping: a workgroup has ROWS rows of the batch, an invocation UNITS units of them; launched for all steps or step by step, as forward.
// Traffic of a step: weights are read once by each workgroup (from cache), d of the step before once for each SIZE · UNITS units.
const UNITS = 1u;           // of an invocation, SIZE apart
const ROWS = 4u;            // of the batch, of a workgroup
override SIZE: u32 = 64;    // invocations of a workgroup
override CHUNK: u32 = 256;  // elements of a row that are held at once, a multiple of four
override UNROLL: bool = true; // the code for each of the ROWS on its own: sums stay in registers, but a CPU's compiler takes long

struct Params {
  batch: u32,
  units: u32,   // H
  steps: u32,   // T
  begin: u32,   // the first step back to make, in the order in which they are made,
  end: u32,     // and the one after the last
  reverse: u32, // 1: from the last step of the sequence to its first
  one: u32,     // is 1, which a compiler can't know: a loop stays one
  stride: vec2u // from step to step, and from row to row of the batch, in states
}

@group(0) @binding(0) var<storage, read> gates: array<vec4f>;      // [T, B, H] or [B, T, H]: i, f, g, o
@group(0) @binding(1) var<storage, read> states: array<f32>;       // [2, T, B, H] or [2, B, T, H]: h, then c, after each step
@group(0) @binding(2) var<storage, read> first: array<f32>;        // [2, B, H]: before the first
@group(0) @binding(3) var<storage, read> lengths: array<i32>;      // [B]
@group(0) @binding(4) var<storage, read> dstates: array<f32>;      // as states
@group(0) @binding(5) var<storage, read> weight: array<vec4f>;     // [4 H / 4, H, 4]: U, four rows together
@group(0) @binding(6) var<storage, read_write> dfirst: array<f32>; // [2, B, H]: what is handed from step to step; begins at 0
@group(0) @binding(7) var<storage, read_write> d: array<f32>;      // [T, B, 4 H] or [B, T, 4 H]: of what is within σ and tanh
@group(0) @binding(8) var<uniform> params: Params;

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

var<workgroup> held: array<vec4f, ROWS * CHUNK / 4u>; // d of the rows at the step made before, CHUNK elements of it

// Unit j of row b at step s, of what Uᵀ d gives to dh; after the first step only that is kept.
fn lstm_back(b: u32, s: u32, j: u32, product: f32, done: bool) {
  let H = params.units;
  let carried = vec2u(b, params.batch + b) * H + j; // h and c
  var dh = dfirst[carried.x] + product;
  if (done) {
    dfirst[carried.x] = dh;
    return;
  }
  let at = place(b, s);
  let c_plane = params.batch * params.steps * H;
  dh += dstates[at * H + j];
  var dc = dfirst[carried.y] + dstates[c_plane + at * H + j];
  let within = inside(b, s);
  let gate = gates[at * H + j];
  var c = first[carried.y];
  if (s > 0u) { c = states[c_plane + place(b, s - 1u) * H + j]; }
  let squashed = tanh_exact(vec4f(states[c_plane + at * H + j])).x;
  let inner = dc + dh * gate.w * (1.0 - squashed * squashed);
  let slope = gate * (1.0 - gate);
  let dgate = vec4f(
    inner * gate.z * slope.x,
    inner * c * slope.y,
    inner * gate.x * (1.0 - gate.z * gate.z),
    dh * squashed * slope.w,
  );
  for (var g = 0u; g < 4u; g++) { d[at * 4u * H + g * H + j] = select(0.0, dgate[g], within); }
  dfirst[carried.x] = select(dh, 0.0, within);
  dfirst[carried.y] = select(dc, inner * gate.y, within);
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = params;
  let row = group.x * ROWS;
  let columns = 4u * p.units;
  for (var back = p.begin; back < p.end; back++) {
    let s = p.steps - 1u - back; // wraps around after the first step, and isn't used then
    for (var unit = group.y * SIZE * UNITS; unit < p.units; unit += groups.y * SIZE * UNITS) {
      var sums = array<f32, ROWS * UNITS>(); // Uᵀ d
      for (var begin = 0u; back > 0u && begin < columns; begin += CHUNK) {
        workgroupBarrier(); // everybody has read what is held
        for (var i = lane; i < ROWS * CHUNK / 4u; i += SIZE) {
          let b = row + i / (CHUNK / 4u);
          let n = begin + i % (CHUNK / 4u) * 4u;
          var four = vec4f();
          for (var e = 0u; e < 4u; e++) {
            if (b < p.batch && n + e < columns) { four[e] = d[place(b, s + 1u) * columns + n + e]; }
          }
          held[i] = four;
        }
        workgroupBarrier(); // everything is held
        let fours = (min(CHUNK, columns - begin) + 3u) / 4u;
        for (var n = 0u; n < fours; n++) {
          let at = (begin / 4u + n) * p.units + unit + lane;
          var w: array<vec4f, UNITS>;
          for (var u = 0u; u < UNITS; u++) { w[u] = weight[at + u * SIZE]; }
          for (var r = 0u; r < ROWS; r++) {
            let v = held[r * (CHUNK / 4u) + n];
            for (var u = 0u; u < UNITS; u++) { sums[r * UNITS + u] += dot(v, w[u]); }
          }
        }
      }
      for (var i = 0u; i < ROWS * UNITS; i += select(p.one, 1u, UNROLL)) {
        let b = row + i / UNITS;
        let j = unit + lane + i % UNITS * SIZE;
        if (j < p.units && b < p.batch) { lstm_back(b, s, j, sums[i], back == p.steps); }
      }
    }
    storageBarrier(); // the next step reads the gradients that this one wrote
  }
}
