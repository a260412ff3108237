// x[word] with some of its bits replaced: x[word] = (x[word] & keep) | bits. For elements of 16 bits, of which two share a word: WebGPU
// writes whole words alone.
//
// Mapping: one invocation in all. Traffic: one word read, one written.
struct Params { word: u32, keep: u32, bits: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  x[params.word] = (x[params.word] & params.keep) | params.bits;
}
