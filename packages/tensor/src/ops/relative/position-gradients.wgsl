// The add_gradient() and add_gradients() of attention's backward kernels with relative positions inside: adds scale · ds_ij to the table of queries
// (drows[i, r]), or of keys (dcolumns[j, r]) with BY_KEY. Not a kernel by itself; beside position-scores.wgsl.
//
// Whoever owns query i, or key j, is the only one to add to its row, so there are no atomics, and sums are made in the same order every
// time. Pairs that an additive mask fills with less than −1e30 pass nothing: their score is the mask's.
override BY_KEY: bool = false;

@group(0) @binding(12) var<storage, read_write> dtable: array<f32>; // [B, H, T, R], 0 at first

fn add_gradient(head: u32, i: u32, j: u32, ds: f32, mask_bits: u32) {
  let filled = mask_bits > 0x80000000u + bitcast<u32>(1e30);
  let r = row_of(i, j);
  if (filled || max(i, j) >= params.q_strides.w || r >= params.width) { return; }
  dtable[(head * params.q_strides.w + select(i, j, BY_KEY)) * params.width + r] += params.scale * ds;
}

// Of the keys j … j + 3.
fn add_gradients(head: u32, i: u32, j: u32, ds: vec4f, mask_bits: vec4u) {
  for (var e = 0u; e < 4u; e++) { add_gradient(head, i, j + e, ds[e], mask_bits[e]); }
}
