// Weights [N, K] for matmul-subgroup.cpu.wgsl as they are: packing them would take as long as multiplying them by 32 rows.
// Not a kernel by itself: with B as vec2f it takes the place of the steps() that reads panels.

// Two steps of k from an element of B on.
fn pair(at: u32) -> vec2f { return b[at / 2u]; }

fn rounded(two: vec2f) -> vec2f {
  if (F16) { return quantizeToF16(two); }
  return two;
}

fn steps(first: u32, k: u32) -> Steps {
  let at = first + k;
  let w0 = rounded(pair(at));
  let w1 = rounded(pair(at + params.K));
  let w2 = rounded(pair(at + 2u * params.K));
  let w3 = rounded(pair(at + 3u * params.K));
  return Steps(vec4f(w0.x, w1.x, w2.x, w3.x), vec4f(w0.y, w1.y, w2.y, w3.y));
}
