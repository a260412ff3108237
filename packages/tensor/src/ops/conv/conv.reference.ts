import { ndArray, type NdArray } from "../../testing/nd-array.ts";

interface Options {
  stride?: number[];
  padding?: number[];
  outputPadding?: number[];
  dilation?: number[];
  groups?: number;
}

/** Calls `visit` for each pair of places that a convolution joins: of the large image, the small one and the weight. */
function join(
  large: number[],
  small: number[],
  weight: number[],
  { stride = [1, 1], padding = [0, 0], dilation = [1, 1], groups = 1 }: Options,
  visit: (inLarge: number | undefined, inSmall: number, inWeight: number) => void,
): void {
  const [N, C, H, W] = large as [number, number, number, number];
  const [, O, h, w] = small as [number, number, number, number];
  const [, , kH, kW] = weight as [number, number, number, number];
  const [perGroup, outOfGroup] = [C / groups, O / groups];
  for (let n = 0; n < N; n++)
    for (let o = 0; o < O; o++)
      for (let c = 0; c < perGroup; c++)
        for (let i = 0; i < h; i++)
          for (let j = 0; j < w; j++)
            for (let k = 0; k < kH; k++)
              for (let l = 0; l < kW; l++) {
                const row = i * stride[0]! + k * dilation[0]! - padding[0]!;
                const column = j * stride[1]! + l * dilation[1]! - padding[1]!;
                const outside = row < 0 || row >= H || column < 0 || column >= W; // a zero, which a NaN turns into NaN
                const channel = Math.floor(o / outOfGroup) * perGroup + c;
                visit(
                  outside ? undefined : ((n * C + channel) * H + row) * W + column,
                  ((n * O + o) * h + i) * w + j,
                  ((o * perGroup + c) * kH + k) * kW + l,
                );
              }
}

const zeros = (shape: number[]): NdArray => ndArray(shape, new Float64Array(shape.reduce((a, b) => a * b, 1)));

/** y begins at the bias of its channel. */
function withBias(shape: number[], bias: NdArray): NdArray {
  const y = zeros(shape);
  const plane = shape[2]! * shape[3]!;
  y.data.forEach((_, i) => (y.data[i] = bias.data[Math.floor(i / plane) % shape[1]!]!));
  return y;
}

export function convReference(x: NdArray, weight: NdArray, bias: NdArray, options: Options = {}): NdArray {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = options;
  const out = [0, 1].map((d) => {
    const room = x.shape[2 + d]! + 2 * padding[d]! - dilation[d]! * (weight.shape[2 + d]! - 1) - 1;
    return Math.floor(room / stride[d]!) + 1;
  });
  const y = withBias([x.shape[0]!, weight.shape[0]!, ...out], bias);
  join(
    x.shape,
    y.shape,
    weight.shape,
    options,
    (a, b, w) => (y.data[b]! += (a === undefined ? 0 : x.data[a]!) * weight.data[w]!),
  );
  return y;
}

export function convTransposeReference(x: NdArray, weight: NdArray, bias: NdArray, options: Options = {}): NdArray {
  const { stride = [1, 1], padding = [0, 0], dilation = [1, 1], outputPadding = [0, 0], groups = 1 } = options;
  const size = [0, 1].map(
    (d) =>
      (x.shape[2 + d]! - 1) * stride[d]! -
      2 * padding[d]! +
      dilation[d]! * (weight.shape[2 + d]! - 1) +
      outputPadding[d]! +
      1,
  );
  const y = withBias([x.shape[0]!, weight.shape[1]! * groups, ...size], bias);
  join(y.shape, x.shape, weight.shape, options, (a, b, w) => {
    if (a !== undefined) y.data[a]! += x.data[b]! * weight.data[w]!;
  });
  return y;
}
