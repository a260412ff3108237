// drows[l, c]: what the bag of place l gives back to its row: dy times the place's scale, dy divided by the bag's count, or dy where the
// place was the largest. With OF_SCALES dy · weight[ids[l], c] instead, whose sum over c is the gradient of the scale.
//
// Mapping: one invocation per element, which searches its bag among the offsets. Traffic: dy is read from cache, drows written once.
const SUM = 0u;
const MEAN = 1u;
const MAX = 2u;

override MODE: u32 = SUM;
override SCALED: bool = false;
override OF_SCALES: bool = false;

struct Params { size: u32, width: u32, rows: u32, skip: u32, length: u32, bags: u32, bounds: u32, total: u32, nan: f32 }

@group(0) @binding(0) var<storage, read> dy: array<f32>;             // [bags, width]
@group(0) @binding(1) var<storage, read> weight: array<f32>;         // [rows, width]
@group(0) @binding(2) var<storage, read> ids: array<u32>;            // [total]
@group(0) @binding(3) var<storage, read> offsets: array<u32>;        // [bounds]
@group(0) @binding(4) var<storage, read> scales: array<f32>;         // [total]
@group(0) @binding(5) var<storage, read> winner: array<u32>;         // [bags, width]
@group(0) @binding(6) var<storage, read> counts: array<u32>;         // [bags]
@group(0) @binding(7) var<storage, read_write> drows: array<f32>;    // [total, width]
@group(0) @binding(8) var<uniform> params: Params;

// The last bag that begins at or before the place; an empty bag begins where the next one does.
fn bag_of(place: u32) -> u32 {
  if (params.length > 0u) { return place / params.length; }
  var low = 0u;
  var high = params.bounds;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (offsets[middle] <= place) { low = middle + 1u; } else { high = middle; }
  }
  return low - 1u; // before the first bag it wraps to none
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let e = id.x + id.y * workgroups.x * 64u;
  if (e >= params.size) { return; }
  let l = e / params.width;
  let c = e % params.width;
  let bag = bag_of(l);
  let row = ids[l];
  if (bag >= params.bags || row == params.skip) {
    drows[e] = 0.0;
    return;
  }
  let at = bag * params.width + c;
  var d = dy[at];
  if (MODE == MEAN) { d /= f32(counts[bag]); }
  if (MODE == MAX && winner[at] != l) { d = 0.0; }
  if (OF_SCALES) {
    d *= select(params.nan, weight[min(row, params.rows - 1u) * params.width + c], row < params.rows);
  } else if (SCALED) {
    d *= scales[l];
  }
  drows[e] = d;
}
