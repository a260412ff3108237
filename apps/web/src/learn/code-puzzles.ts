// Kernels with a piece missing. Inputs are few numbers made by a formula, what is expected is computed in f64.
import type { CodePuzzle, Trial } from "./puzzle.ts";

/** Numbers between −1 and 1 that look random. */
const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * (seed + 1.3) * 12.9898));
const zeros = (count: number): Float32Array => new Float32Array(count);

/** Rows of a table, each made from rows of others by `of`. */
function byRow(rows: number, tables: Float32Array[], of: (...rows: number[][]) => number[]): number[] {
  return Array.from({ length: rows }, (_, r) => {
    const parts = tables.map((table) => {
      const cols = table.length / rows;
      return Array.from(table.subarray(r * cols, (r + 1) * cols));
    });
    return of(...parts);
  }).flat();
}

const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);

function softmax(row: number[]): number[] {
  const exps = row.map((value) => Math.exp(value - Math.max(...row)));
  return exps.map((value) => value / total(exps));
}

const bindings = (names: string): string =>
  names
    .split(" ")
    .map((name, i, { length }) => {
      const access = i === length - 1 ? "read_write" : "read";
      return `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<f32>;\n`;
    })
    .join("");
const header = (names: string, fields: string): string =>
  `struct Params { ${fields
    .split(" ")
    .map((field) => `${field}: u32`)
    .join(", ")} }\n${bindings(names)}@group(0) @binding(${names.split(" ").length}) var<uniform> params: Params;\n\n`;
const MAIN = "@compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3u) {\n";
const ONE_ROW = `${MAIN}  let row = id.x;
  if (row >= params.rows) { return; }
  let first = row * params.cols;
`;

export const invocations: CodePuzzle = {
  kind: "code",
  task: "Write ReLU: y is x where x is positive, and 0 elsewhere. 64 invocations run for every started workgroup, so some are beyond the last element: those leave y alone.",
  before: `${header("x y", "size")}${MAIN}  let i = id.x;\n`,
  start: "  y[i] = x[i];",
  after: "}",
  solution: "  if (i < params.size) {\n    y[i] = max(x[i], 0.0);\n  }",
  hints: [
    "Two of WGSL's own functions do it without an if: max(a, b) and select(no, yes, condition).",
    "For 70 elements two workgroups run, 128 invocations. What is in y[70] afterwards?",
  ],
  trials: () =>
    [5, 64, 70].map((size): Trial => {
      const x = numbers(128, size);
      return {
        name: `${size} elements`,
        buffers: { x, y: new Float32Array(128).fill(-7) },
        params: { size },
        threads: size,
        output: "y",
        expected: Array.from(x, (value, i) => (i < size ? Math.max(value, 0) : -7)),
      };
    }),
};

export const stableSoftmax: CodePuzzle = {
  kind: "code",
  task: "This softmax is right by the formula, and NaN for large scores. Give m the value that keeps every exponent at or below 0.",
  before: `${header("x y", "rows cols")}${ONE_ROW}`,
  start: "  let m = 0.0;",
  after: `
  var sum = 0.0;
  for (var c = 0u; c < params.cols; c++) { sum += exp(x[first + c] - m); }
  for (var c = 0u; c < params.cols; c++) { y[first + c] = exp(x[first + c] - m) / sum; }
}`,
  solution: `  var m = x[first];
  for (var c = 1u; c < params.cols; c++) { m = max(m, x[first + c]); }`,
  hints: [
    "e^89 is more than f32 can hold. Which m makes the largest exponent 0?",
    "One more loop over the row. It begins with x[first], not with 0: all of a row may be negative.",
  ],
  trials: () =>
    [
      { name: "scores between −1 and 1", shift: 0 },
      { name: "scores near 100", shift: 100 },
      { name: "scores near −200", shift: -200 },
    ].map(({ name, shift }): Trial => {
      const x = numbers(21, 2).map((value) => value + shift);
      const params = { rows: 3, cols: 7 };
      return { name, buffers: { x, y: zeros(21) }, params, threads: 3, output: "y", expected: byRow(3, [x], softmax) };
    }),
};

export const variance: CodePuzzle = {
  kind: "code",
  task: "Layer norm divides by √variance. The mean of the squares less the square of the mean is the variance on paper; in f32 both are near 10⁸ when the mean is near 10⁴, and what is left is noise. Compute it so that it stays right.",
  before: `${header("x y", "rows cols")}${ONE_ROW}  let n = f32(params.cols);
  var sum = 0.0;
  for (var c = 0u; c < params.cols; c++) { sum += x[first + c]; }
  let mean = sum / n;
`,
  start: `  var squares = 0.0;
  for (var c = 0u; c < params.cols; c++) { squares += x[first + c] * x[first + c]; }
  let variance = squares / n - mean * mean;`,
  after: `
  for (var c = 0u; c < params.cols; c++) {
    y[first + c] = (x[first + c] - mean) / sqrt(variance + 1e-5);
  }
}`,
  solution: `  var squares = 0.0;
  for (var c = 0u; c < params.cols; c++) {
    let d = x[first + c] - mean;
    squares += d * d;
  }
  let variance = squares / n;`,
  hints: ["The variance is the mean of what? Say it without expanding the square.", "x − mean is small and exact."],
  trials: () =>
    [0, 10_000].map((shift): Trial => {
      // Quarters: x − mean is exact in f32, so that only the variance can go wrong.
      const x = numbers(32, 3).map((value) => Math.round(value * 8) / 4 + shift);
      const expected = byRow(2, [x], (row) => {
        const mean = total(row) / row.length;
        const deviation = Math.sqrt(total(row.map((value) => (value - mean) ** 2)) / row.length + 1e-5);
        return row.map((value) => (value - mean) / deviation);
      });
      const name = `numbers near ${shift}`;
      return { name, buffers: { x, y: zeros(32) }, params: { rows: 2, cols: 16 }, threads: 2, output: "y", expected };
    }),
};

function product(a: Float32Array, b: Float32Array, rows: number, inner: number, cols: number): number[] {
  return Array.from({ length: rows * cols }, (_, at) => {
    const [r, c] = [Math.floor(at / cols), at % cols];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += a[r * inner + k]! * b[k * cols + c]!;
    return sum;
  });
}

export const naiveMatmul: CodePuzzle = {
  kind: "code",
  task: "c [rows, cols] = a [rows, inner] · b [inner, cols], all of them row by row in memory. One invocation makes one element of c: which two numbers does it multiply at step k?",
  before: `${header("a b c", "rows inner cols")}${MAIN}  if (id.x >= params.rows * params.cols) { return; }
  let row = id.x / params.cols;
  let col = id.x % params.cols;
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
`,
  start: "    sum += a[k] * b[k];",
  after: `  }
  c[id.x] = sum;
}`,
  solution: "    sum += a[row * params.inner + k] * b[k * params.cols + col];",
  hints: [
    "a's row begins at row * params.inner: that many numbers are in each row before it.",
    "b is walked down a column: from one k to the next, a whole row of b is skipped.",
  ],
  trials: () =>
    [
      [2, 2, 2],
      [3, 5, 2],
      [7, 4, 11],
    ].map(([rows = 0, inner = 0, cols = 0]): Trial => {
      const [a, b] = [numbers(rows * inner, 4), numbers(inner * cols, 5)];
      return {
        name: `[${rows}, ${inner}] · [${inner}, ${cols}]`,
        buffers: { a, b, c: zeros(rows * cols) },
        params: { rows, inner, cols },
        threads: rows * cols,
        output: "c",
        expected: product(a, b, rows, inner, cols),
      };
    }),
};

export const onlineSoftmax: CodePuzzle = {
  kind: "code",
  task: "One query's attention in one pass: scores and values come by once, and no score is kept. m is the largest score so far; l and acc are sums of e^(score − m). When m grows, they are too large by then. Bring them to the new m.",
  before: `${header("scores values y", "rows cols")}${ONE_ROW}  var m = -1e30;
  var l = 0.0;
  var acc = 0.0;
  for (var j = 0u; j < params.cols; j++) {
    let s = scores[first + j];
    let top = max(m, s);
`,
  start: `    l = l + exp(s - top);
    acc = acc + exp(s - top) * values[j];
    m = top;`,
  after: `  }
  y[row] = acc / l;
}`,
  solution: `    let shrink = exp(m - top);
    l = l * shrink + exp(s - top);
    acc = acc * shrink + exp(s - top) * values[j];
    m = top;`,
  hints: [
    "e^(s − m) · e^(m − top) = e^(s − top): one factor turns every term of a sum at once.",
    "Both sums shrink, by the same factor. Where m didn't grow it is e^0 = 1.",
  ],
  trials: () =>
    [
      { name: "falling scores", score: (j: number) => -j },
      { name: "rising scores", score: (j: number) => j },
      { name: "scores that jump by 100", score: (j: number) => (j % 3) * 100 },
    ].map(({ name, score }): Trial => {
      const scores = Float32Array.from({ length: 18 }, (_, i) => score(i % 9) + Math.floor(i / 9) / 2);
      const values = numbers(9, 6);
      return {
        name,
        buffers: { scores, values, y: zeros(2) },
        params: { rows: 2, cols: 9 },
        threads: 2,
        output: "y",
        expected: byRow(2, [scores], (row) => [total(softmax(row).map((p, j) => p * values[j]!))]),
      };
    }),
};

export const softmaxBackward: CodePuzzle = {
  kind: "code",
  task: "y = softmax(x), and dy is the gradient of the loss for y. Every y depends on every x of its row, through the sum: a larger x takes from the others. Write dx.",
  before: `${header("y dy dx", "rows cols")}${ONE_ROW}`,
  start: `  for (var c = 0u; c < params.cols; c++) {
    dx[first + c] = dy[first + c] * y[first + c];
  }`,
  after: "}",
  solution: `  var dot = 0.0;
  for (var c = 0u; c < params.cols; c++) { dot += dy[first + c] * y[first + c]; }
  for (var c = 0u; c < params.cols; c++) {
    dx[first + c] = y[first + c] * (dy[first + c] - dot);
  }`,
  hints: [
    "dy_i/dx_c = y_i · (1 if i = c, else 0) − y_i · y_c. Add it up over i, each times dy_i.",
    "One sum is the same for the whole row: Σ dy · y. And if all dy are equal, dx must be 0: shares always add up to 1.",
  ],
  trials: () =>
    [
      { name: "dy alike everywhere", dy: new Float32Array(15).fill(1) },
      { name: "any dy", dy: numbers(15, 8) },
    ].map(({ name, dy }): Trial => {
      const y = Float32Array.from(byRow(3, [numbers(15, 7)], softmax));
      const expected = byRow(3, [y, dy], (p, g) => {
        const dot = total(p.map((value, i) => value * g[i]!));
        return p.map((value, i) => value * (g[i]! - dot));
      });
      return {
        name,
        buffers: { y, dy, dx: zeros(15) },
        params: { rows: 3, cols: 5 },
        threads: 3,
        output: "dx",
        expected,
      };
    }),
};

export const ownerOfKeys: CodePuzzle = {
  kind: "code",
  task: "dv [keys, dim] = pᵀ · dy: each key's gradient is a sum over all queries. Here every invocation owns a query and adds to the rows of all keys, many of them to the same number at the same time: additions get lost. Let invocations own something else.",
  before: `${header("p dy dv", "queries keys dim")}// p [queries, keys], dy [queries, dim]; as many invocations as there are queries or keys, whichever are more
${MAIN}`,
  start: `  let i = id.x;
  if (i >= params.queries) { return; }
  for (var j = 0u; j < params.keys; j++) {
    for (var d = 0u; d < params.dim; d++) {
      dv[j * params.dim + d] += p[i * params.keys + j] * dy[i * params.dim + d];
    }
  }`,
  after: "}",
  solution: `  let j = id.x;
  if (j >= params.keys) { return; }
  for (var d = 0u; d < params.dim; d++) {
    var sum = 0.0;
    for (var i = 0u; i < params.queries; i++) {
      sum += p[i * params.keys + j] * dy[i * params.dim + d];
    }
    dv[j * params.dim + d] = sum;
  }`,
  hints: [
    "Whoever writes a number should be the only one who does. What is dv indexed by?",
    "An invocation for each key j: it goes over all queries itself, with its sum in a register, and writes once.",
  ],
  trials: () =>
    [
      [40, 6, 4],
      [48, 64, 2],
    ].map(([queries = 0, keys = 0, dim = 0]): Trial => {
      const [p, dy] = [numbers(queries * keys, 9), numbers(queries * dim, 10)];
      const expected = Array.from({ length: keys * dim }, (_, at) => {
        let sum = 0;
        for (let i = 0; i < queries; i++) sum += p[i * keys + Math.floor(at / dim)]! * dy[i * dim + (at % dim)]!;
        return sum;
      });
      return {
        name: `${queries} queries and ${keys} keys`,
        buffers: { p, dy, dv: zeros(keys * dim) },
        params: { queries, keys, dim },
        threads: Math.max(queries, keys),
        output: "dv",
        expected,
      };
    }),
};
