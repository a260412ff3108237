// lse = m + ln l = ln Σ exp(s): the logarithm of the softmax's denominator, which callers may ask for. −∞ where a query sees no key.
struct Params { rows: u32, minus_infinity: f32 } // from outside: a constant expression may not be infinite

@group(0) @binding(0) var<storage, read> stats: array<vec2f>;      // [rows]: m and l
@group(0) @binding(1) var<storage, read_write> lse: array<f32>; // [rows]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let row = id.x + id.y * workgroups.x * 64u;
  if (row >= params.rows) { return; }
  let m_l = stats[row];
  if (bitcast<u32>(m_l.y) == 0u) { lse[row] = params.minus_infinity; } else { lse[row] = m_l.x + log(m_l.y); }
}
