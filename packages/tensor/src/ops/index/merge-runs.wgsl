// Merges sorted runs of `run` numbers, WAYS neighbours at a time, into runs of WAYS · run: a step of merge sort without waiting. Runs are
// those of lines of n numbers; the last run of a line may be shorter.
//
// A number's place in the merged run is its place in its own, and how many come before it in each of the others, which a binary search
// finds: smaller ones there, and equal ones in runs to its left. So equal numbers stay in order, and no two get one place.
// A line takes log_WAYS(n / run) steps of this, each n · WAYS · log2(run) reads.
// Mapping: one invocation per number. Traffic: keys from cache, once for each step of a search; order once.
override WAYS: u32 = 4;

struct Params { m: u32, n: u32, run: u32 } // m: numbers of all lines

@group(0) @binding(0) var<storage, read> keys: array<u32>;               // [m]: runs
@group(0) @binding(1) var<storage, read> order: array<u32>;              // [m]
@group(0) @binding(2) var<storage, read_write> merged_keys: array<u32>;  // [m]: longer runs
@group(0) @binding(3) var<storage, read_write> merged_order: array<u32>; // [m]
@group(0) @binding(4) var<uniform> params: Params;

// How many of keys[first .. end) are smaller than `key`, or equal to it with `equal`.
fn count_before(first: u32, end: u32, key: u32, equal: bool) -> u32 {
  var low = first;
  var high = end;
  while (low < high) {
    let middle = (low + high) / 2u;
    let other = keys[middle];
    if (other < key || (equal && other == key)) { low = middle + 1u; } else { high = middle; }
  }
  return low - first;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.m) { return; }
  let key = keys[i];
  let line = i / params.n * params.n;
  let end = line + params.n;
  let own = (i - line) / params.run;
  let leftmost = (own / WAYS) * WAYS;

  var place = leftmost * params.run + i - own * params.run;
  for (var other = leftmost; other < leftmost + WAYS; other++) {
    let first = line + other * params.run;
    if (other != own && first < end) {
      place += count_before(first, min(first + params.run, end), key, other < own);
    }
  }
  merged_keys[place] = key;
  merged_order[place] = order[i];
}
