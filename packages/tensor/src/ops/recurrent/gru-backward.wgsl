// Back through gru.wgsl, from the gradient dh of what a step gives: dn = dh (1 − z) (1 − n²), dr = dn (U h)ₙ r (1 − r) and
// dz = dh (h₋ − n) z (1 − z) are those of W x; U h has r dn in the place of dn. h₋, the h before, gets dh z.
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

@group(0) @binding(0) var<storage, read> gates: array<vec4f>;         // [T, B, H] or [B, T, H]: r, z, n, and (U h + b)ₙ
@group(0) @binding(1) var<storage, read> before: array<f32>;          // [T, B, H] or [B, T, H]: h before each step
@group(0) @binding(2) var<storage, read> lengths: array<i32>;         // [B]
@group(0) @binding(3) var<storage, read> dstates: array<f32>;         // [T, B, H] or [B, T, H]
@group(0) @binding(4) var<storage, read> weight: array<vec4f>;        // [3 H / 4, H, 4]: U, four rows together, 0 beyond the last
@group(0) @binding(5) var<storage, read_write> dfirst: array<f32>;    // [B, H]: what is handed from step to step; begins at 0
@group(0) @binding(6) var<storage, read_write> d_inputs: array<f32>;  // [T, B, 3 H] or [B, T, 3 H]: of W x + b
@group(0) @binding(7) var<storage, read_write> d: array<f32>;         // the same, of U h + b
@group(0) @binding(8) var<uniform> params: Params;

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
fn gru_back(b: u32, s: u32, j: u32, product: f32, done: bool) {
  let H = params.units;
  var dh = dfirst[b * H + j] + product;
  if (done) {
    dfirst[b * H + j] = dh;
    return;
  }
  let at = place(b, s);
  dh += dstates[at * H + j];
  let within = inside(b, s);
  let gate = gates[at * H + j];
  let dn = dh * (1.0 - gate.y) * (1.0 - gate.z * gate.z);
  let dr = dn * gate.w * gate.x * (1.0 - gate.x);
  let dz = dh * (before[at * H + j] - gate.z) * gate.y * (1.0 - gate.y);
  let dgate = vec4f(dr, dz, dn, dn * gate.x);
  for (var g = 0u; g < 3u; g++) {
    let i = at * 3u * H + g * H + j;
    d_inputs[i] = select(0.0, dgate[g], within);
    d[i] = select(0.0, dgate[select(g, 3u, g == 2u)], within);
  }
  dfirst[b * H + j] = select(dh, dh * gate.y, within);
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = params;
  let row = group.x * ROWS;
  let columns = 3u * p.units;
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
        if (j < p.units && b < p.batch) { gru_back(b, s, j, sums[i], back == p.steps); }
      }
    }
    storageBarrier(); // the next step reads the gradients that this one wrote
  }
}
