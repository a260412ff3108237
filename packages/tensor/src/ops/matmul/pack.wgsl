// Lays a matrix X out for the kernels that read packed operands: panels of WIDTH rows, in each of which X's columns follow one another: y[p, k, i] = x[p · WIDTH + i, k].
// Columns that X does not have are 0.
//
// Mapping: a workgroup takes 32 rows and 64 columns; an invocation moves blocks of 4 × 4, turning them in registers where X's rows are what
// lies together. Traffic: X is read and written once; without it the product would read each element many times from scattered places.
const WIDTH = 64u; // rows in a panel
override F16: bool = false; // round to f16
override WHOLE: bool = true; // whatever lies together begins at, and is as long as, a multiple of four elements

struct Params {
  rows: u32, cols: u32,         // of X
  row_step: u32, col_step: u32, // elements from one row, or column, of X to the next: one of them is 1
  first: u32, step: u32,        // where the first matrix begins, and how far on the next one does
  panels: u32, depth: u32,      // panels of y, and columns in each
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4f>;      // the same buffer: a load of four costs as much as two of one
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>; // [batches, panels, depth, WIDTH]
@group(0) @binding(3) var<uniform> params: Params;

// As the factors of products are in mixed precision.
fn rounded(v: vec4f) -> vec4f {
  if (F16) { return quantizeToF16(v); }
  return v;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let p = params;
  let row = group.x * 32u + id.x * 4u;
  let x_row = p.first + group.z * p.step + row * p.row_step;
  let y_row = (group.z * p.panels + row / WIDTH) * p.depth * WIDTH + row % WIDTH;
  let end = min(p.depth, group.y * 64u + 64u);
  for (var col = group.y * 64u; col < end; col += 4u) {
    let at = x_row + col * p.col_step;
    let to = (y_row + col * WIDTH) / 4u;
    if (WHOLE) { // rows that X doesn't have are whatever is there: they are C's that aren't stored
      let line = max(p.row_step, p.col_step);
      var block = mat4x4f(x4[at / 4u], x4[(at + line) / 4u], x4[(at + 2u * line) / 4u], x4[(at + 3u * line) / 4u]);
      if (p.row_step != 1u) { block = transpose(block); }
      for (var k = 0u; k < 4u; k++) {
        y[to + k * WIDTH / 4u] = select(vec4f(), rounded(block[k]), col + k < p.cols);
      }
    } else {
      for (var k = 0u; k < min(4u, end - col); k++) {
        var column = vec4f();
        for (var i = 0u; i < 4u; i++) {
          if (row + i < p.rows && col + k < p.cols) { column[i] = x[at + i * p.row_step + k * p.col_step]; }
        }
        y[to + k * WIDTH / 4u] = rounded(column);
      }
    }
  }
}
