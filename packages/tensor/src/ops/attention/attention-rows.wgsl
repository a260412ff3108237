// What backward needs of each query: m, 1 / l, δ = y · dy, and the number of keys worth looking at, in one vec4.
//
// δ_i = Σ_j p_ij dp_ij is what the softmax's gradient subtracts; Σ_j p_ij (dy_i · v_j) = dy_i · y_i needs no keys at all.
// The sum runs in the order in which the kernels behind it compute dp_ij: where a query sees one key, y is v_j, and dp − δ is to be exactly 0.
// Mapping: one invocation per query. Traffic: y and dy once.
alias Lanes = f32; // vec4f where heads are whole vectors
const WIDTH = 1u;  // how many these are
override KEY_MASK: bool = false; // whether `lengths` is given
override F16: bool = false;      // round dy to f16, as the kernels behind do

struct Params { strides: vec4u, batch_heads: u32, heads: u32, head_dim: u32 } // of y and dy, as in attention-tiled.wgsl; all in Lanes

@group(0) @binding(0) var<storage, read> y: array<Lanes>;     // [B, H, Tq, D] or [B, Tq, H, D]
@group(0) @binding(1) var<storage, read> dy: array<Lanes>;    // like y
@group(0) @binding(2) var<storage, read> stats: array<vec2f>; // [B, H, Tq]: m and l
@group(0) @binding(3) var<storage, read> lengths: array<u32>; // [B, H]
@group(0) @binding(4) var<storage, read_write> rows: array<vec4f>; // [B, H, Tq]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 8u;
  let queries = params.strides.w;
  let head = row / queries;
  if (head >= params.batch_heads) { return; }
  let at = vec3u(head / params.heads, head % params.heads, row % queries);
  let first = dot(at, params.strides.xyz);
  var delta = 0.0;
  for (var d = 0u; d < params.head_dim; d++) {
    let products = vec4f(rounded(dy[first + d]) * y[first + d]); // of one element, four times that
    delta += products.x;
    if (WIDTH == 4u) { delta += products.y; delta += products.z; delta += products.w; }
  }
  let m_l = stats[row];
  var length = 0.0;
  if (KEY_MASK) { length = f32(lengths[head]); }
  rows[row] = vec4f(m_l.x, select(1.0 / m_l.y, 0.0, bitcast<u32>(m_l.y) == 0u), delta, length);
}

fn rounded(x: Lanes) -> Lanes {
  if (F16) { return quantizeToF16(x); }
  return x;
}
