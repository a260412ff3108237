// Lays a matrix X out for matmul-subgroup.cpu.wgsl: panels of WIDTH rows, in each of which X's columns follow one another: y[p][k][i] = x[p · WIDTH + i, k].
// Rows that X does not have are 0.
//
// Mapping: an invocation moves a block of 4 × 4, eight neighbours fill 32 rows. Traffic: X is read and written once; that is little beside the
// product, which would else read every element from scattered places many times.
override WIDTH: u32 = 64; // rows in a panel: 32 or 64

struct Params {
  rows: u32, cols: u32,   // of X
  row_step: u32, col_step: u32, // elements from a row, or column, of X to the next: one of them is 1
  first: u32, step: u32,  // where the batch begins in x, and from one matrix to the next
  panels: u32,
  aligned: u32,           // 1 if every row (or column, if that is what lies together) begins at a multiple of four elements, and has such a length
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4f>;       // the same as x
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;  // [batches, panels, cols, WIDTH]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  // group.x counts the 32-row parts of all panels, group.y blocks of 4 columns, group.z the batch.
  let row = group.x * 32u + id.x * 4u;
  let col = group.y * 4u;
  let first = p.first + group.z * p.step;
  var block = mat4x4f(); // by columns of X
  if (row < p.rows) {
    let at = first + row * p.row_step + col * p.col_step;
    if (p.aligned == 1u && p.row_step == 1u) {
      for (var k = 0u; k < min(4u, p.cols - col); k++) { block[k] = x4[(at + k * p.col_step) / 4u]; }
    } else if (p.aligned == 1u) {
      var rows = mat4x4f();
      for (var i = 0u; i < min(4u, p.rows - row); i++) { rows[i] = x4[(at + i * p.row_step) / 4u]; }
      block = transpose(rows);
    } else {
      for (var k = 0u; k < min(4u, p.cols - col); k++) {
        for (var i = 0u; i < min(4u, p.rows - row); i++) { block[k][i] = x[at + i * p.row_step + k * p.col_step]; }
      }
    }
  }
  let panel = group.z * p.panels + row / WIDTH;
  let to = ((panel * p.cols + col) * WIDTH + row % WIDTH) / 4u;
  for (var k = 0u; k < min(4u, p.cols - col); k++) { y[to + k * WIDTH / 4u] = block[k]; }
}
