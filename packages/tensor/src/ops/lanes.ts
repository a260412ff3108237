/** The specialization of row kernels that read one element at once, or four: their `alias Lanes` and `const WIDTH`. */
export const lanesOf = (width: 1 | 4) => ({ Lanes: width === 4 ? "vec4f" : "f32", WIDTH: width });
