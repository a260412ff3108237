// y[b, c] = Σ_l s[l] weight[ids[l], c] over the places l of bag b, by MODE divided by how many there are, or the largest instead of the sum:
// then `winner` is the first place that has it. Places of `skip` don't count; a bag without others is 0. An id out of range gives NaN.
//
// Mapping: one invocation per element of y. Traffic: each row of a bag is read once, in order, and y written once.
const SUM = 0u;
const MEAN = 1u;
const MAX = 2u;
const NOWHERE = 0xffffffffu;

override MODE: u32 = SUM;
override SCALED: bool = false;

// length: the places of each bag, or 0 where `offsets` says at which each begins; total: places in all
struct Params { size: u32, width: u32, rows: u32, skip: u32, length: u32, bags: u32, bounds: u32, total: u32, nan: f32 }

@group(0) @binding(0) var<storage, read> weight: array<f32>;          // [rows, width]
@group(0) @binding(1) var<storage, read> ids: array<u32>;             // [total]
@group(0) @binding(2) var<storage, read> offsets: array<u32>;         // [bounds]
@group(0) @binding(3) var<storage, read> scales: array<f32>;          // [total]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;         // [bags, width]
@group(0) @binding(5) var<storage, read_write> winner: array<u32>;    // [bags, width]
@group(0) @binding(6) var<storage, read_write> counts: array<u32>;    // [bags]
@group(0) @binding(7) var<uniform> params: Params;

fn start(bag: u32) -> u32 {
  if (params.length > 0u) { return bag * params.length; }
  if (bag >= params.bounds) { return params.total; }
  return min(offsets[bag], params.total);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let bag = e / params.width;
  let c = e % params.width;
  let end = start(bag + 1u);
  var sum = 0.0;
  var place = NOWHERE;
  var count = 0u;
  for (var l = start(bag); l < end; l++) {
    let row = ids[l];
    if (row == params.skip) { continue; }
    count++;
    var value = params.nan;
    if (row < params.rows) { value = weight[row * params.width + c]; }
    if (SCALED) { value *= scales[l]; }
    if (MODE != MAX) {
      sum += value;
    } else if (place == NOWHERE || value > sum || (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u) {
      if ((bitcast<u32>(sum) & 0x7fffffffu) <= 0x7f800000u) { // the first NaN wins
        sum = value;
        place = l;
      }
    }
  }
  if (MODE == MEAN && count > 0u) { sum /= f32(count); }
  y[e] = sum;
  if (MODE == MAX) { winner[e] = place; }
  if (c == 0u) { counts[bag] = count; }
}
