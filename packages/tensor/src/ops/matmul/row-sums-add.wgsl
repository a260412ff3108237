// The sums of the rows of A over all splits, of their parts. Not a kernel by itself: it takes the place of the add_row_sums() of matmul-sum.wgsl.
@group(0) @binding(4) var<storage, read> row_parts: array<f32>;      // [splits, M]
@group(0) @binding(5) var<storage, read_write> row_sums: array<f32>; // [M]

fn add_row_sums(row: u32) {
  if (row >= params.M) { return; }
  var sum = 0.0;
  for (var split = 0u; split < params.splits; split++) { sum += row_parts[split * params.M + row]; }
  row_sums[row] = sum;
}
