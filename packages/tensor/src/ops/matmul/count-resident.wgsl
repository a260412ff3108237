// Counts the invocations of matmul-tiled.wgsl that are at work at once, so that products are cut into as many parts as a GPU has places for. Not a
// kernel by itself: it takes the place of the kernel's take_rows() and write_row_sums(). Of what has begun, what has ended by a later time is
// taken off, so that the count is never too high. Clocks don't matter, as they would to a measurement of time.
@group(0) @binding(8) var<storage, read_write> counts: array<atomic<u32>>; // [3]: begun, ended, the most at work

var<private> counted: bool;

fn take_rows(of_a: mat4x4f) {
  if (counted) { return; }
  counted = true;
  let begun = atomicAdd(&counts[0], 1u) + 1u;
  let ended = atomicLoad(&counts[1]);
  if (begun > ended) { atomicMax(&counts[2], begun - ended); }
}

fn write_row_sums(tile: vec3u, s: Source, me: u32) { atomicAdd(&counts[1], 1u); }
