// y = a where the condition holds, else b, with broadcasting. Elements are copied as bits, so nothing is left of what is not chosen.
//
// Operands are laid out as CONDITION, A and B say: see binary.wgsl.
// Mapping: one invocation per four elements of y; buffers are padded, so the last four may reach beyond the tensor.
// Traffic: the condition, a and b are read once (more often where they are broadcast), y written once.
alias CT = vec4u; // what is read of the condition at once: vec4u or u32
alias AT = vec4u; // of a
alias BT = vec4u; // and of b
override CONDITION: u32 = 0; // 0 like y, 1 one element, 2 number, 3 broadcast by fours, 4 broadcast
override A: u32 = 0;
override B: u32 = 0;
override CONDITION_RANK: u32 = 1; // dimensions to walk through
override A_RANK: u32 = 1;
override B_RANK: u32 = 1;

struct Params {
  vectors: u32, // elements of y / 4, rounded up
  a_bits: u32,  // the numbers
  b_bits: u32,
  condition_sizes: array<vec4u, 2>, // of y, dimensions joined where the operand is walked through in one stride
  condition_strides: array<vec4u, 2>, // 0 where the operand is broadcast
  a_sizes: array<vec4u, 2>,
  a_strides: array<vec4u, 2>,
  b_sizes: array<vec4u, 2>,
  b_strides: array<vec4u, 2>,
}

@group(0) @binding(0) var<storage, read> condition: array<CT>; // 0 and 1
@group(0) @binding(1) var<storage, read> a: array<AT>;
@group(0) @binding(2) var<storage, read> b: array<BT>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4u>; // [vectors]
@group(0) @binding(4) var<uniform> params: Params;

/// Where the fours that are vector i of y are found in an operand; its last dimension is counted in fours.
fn walk(i: u32, rank: u32, sizes: array<vec4u, 2>, strides: array<vec4u, 2>) -> u32 {
  var rest = i;
  var at = 0u;
  for (var d = rank - 1u; d > 0u; d--) {
    let size = sizes[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * strides[d / 4u][d % 4u];
    rest = next;
  }
  return at + rest * strides[0].x;
}

/// Where each of the four elements is found. Divisions are dear, so the last dimension takes one, and three comparisons for the
/// neighbours: how often they step over its end.
fn walk_each(i: u32, rank: u32, sizes: array<vec4u, 2>, strides: array<vec4u, 2>) -> vec4u {
  let last = rank - 1u;
  let size = sizes[last / 4u][last % 4u];
  let first = 4u * i / size;
  let column = 4u * i - first * size + vec4u(0u, 1u, 2u, 3u);
  let over = vec4u(column >= vec4u(size)) + vec4u(column >= vec4u(2u * size)) + vec4u(column >= vec4u(3u * size));
  var rest = first + over;
  var at = (column - over * size) * strides[last / 4u][last % 4u];
  for (var d = last - 1u; d > 0u; d--) {
    let size = sizes[d / 4u][d % 4u];
    let next = rest / size;
    at += (rest - next * size) * strides[d / 4u][d % 4u];
    rest = next;
  }
  return at + rest * strides[0].x;
}

fn condition_at(i: u32) -> vec4u {
  switch CONDITION {
    case 0u: { return vec4u(condition[i]); }
    case 1u: { return vec4u(vec4u(condition[0]).x); }
    case 3u: { return vec4u(condition[walk(i, CONDITION_RANK, params.condition_sizes, params.condition_strides)]); }
    default: {
      let at = walk_each(i, CONDITION_RANK, params.condition_sizes, params.condition_strides);
      return vec4u(vec4u(condition[at.x]).x, vec4u(condition[at.y]).x, vec4u(condition[at.z]).x, vec4u(condition[at.w]).x);
    }
  }
}

fn a_at(i: u32) -> vec4u {
  switch A {
    case 0u: { return vec4u(a[i]); }
    case 1u: { return vec4u(vec4u(a[0]).x); }
    case 2u: { return vec4u(params.a_bits); }
    case 3u: { return vec4u(a[walk(i, A_RANK, params.a_sizes, params.a_strides)]); }
    default: {
      let at = walk_each(i, A_RANK, params.a_sizes, params.a_strides);
      return vec4u(vec4u(a[at.x]).x, vec4u(a[at.y]).x, vec4u(a[at.z]).x, vec4u(a[at.w]).x);
    }
  }
}

fn b_at(i: u32) -> vec4u {
  switch B {
    case 0u: { return vec4u(b[i]); }
    case 1u: { return vec4u(vec4u(b[0]).x); }
    case 2u: { return vec4u(params.b_bits); }
    case 3u: { return vec4u(b[walk(i, B_RANK, params.b_sizes, params.b_strides)]); }
    default: {
      let at = walk_each(i, B_RANK, params.b_sizes, params.b_strides);
      return vec4u(vec4u(b[at.x]).x, vec4u(b[at.y]).x, vec4u(b[at.z]).x, vec4u(b[at.w]).x);
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let i = id.x + id.y * workgroups.x * 64u;
  if (i >= params.vectors) { return; }
  y[i] = select(b_at(i), a_at(i), condition_at(i) != vec4u());
}
