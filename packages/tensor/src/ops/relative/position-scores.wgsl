// The position_score() and position_scores() of attention kernels with relative positions inside: scale · (rows[i, r] + columns[j, r]), where
// r = numbers[i − j] − first numbers the distance of query i and key j. Not a kernel by itself: it takes the place of those of kernels
// that are whole without it (attention/plan.ts). The same numbers as relative-bias.wgsl, which writes them.
override WITH_ROWS: bool = true;
override WITH_COLUMNS: bool = true;

@group(0) @binding(9) var<storage, read> rows_at: array<f32>;     // [B, H, T, R]: each query's scores with the positions
@group(0) @binding(10) var<storage, read> columns_at: array<f32>; // [B, H, T, R]: each key's
@group(0) @binding(11) var<storage, read> numbers: array<u32>;    // [2 · middle + 1]: of distance 0 in the middle

// Which row of a table the distance has. Beyond the last token anything will do.
fn row_of(i: u32, j: u32) -> u32 {
  let last = params.q_strides.w - 1u;
  return numbers[params.middle + min(i, last) - min(j, last)] - params.first;
}

fn position_score(head: u32, i: u32, j: u32) -> f32 {
  let last = params.q_strides.w - 1u;
  let r = row_of(i, j);
  if (r >= params.width) { return bitcast<f32>(numbers[0] | 0x7fc00000u); } // as relative-bias.wgsl: NaN
  var sum = 0.0;
  if (WITH_ROWS) { sum += rows_at[(head * (last + 1u) + min(i, last)) * params.width + r]; }
  if (WITH_COLUMNS) { sum += columns_at[(head * (last + 1u) + min(j, last)) * params.width + r]; }
  return params.scale * sum;
}

// Of the keys j … j + 3.
fn position_scores(head: u32, i: u32, j: u32) -> vec4f {
  return vec4f(position_score(head, i, j), position_score(head, i, j + 1u), position_score(head, i, j + 2u), position_score(head, i, j + 3u));
}
