import { ndArray, type NdArray } from "../../testing/nd-array.ts";

interface Options {
  batchFirst?: boolean;
  reverse?: boolean;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** States h, then c, of one unit after a step, from what the input and h give to its gates. */
type Cell = (x: number[], u: number[], h: number, c: number) => number[];

const gru: Cell = ([xr, xz, xn], [ur, uz, un], h) => {
  const [r, z] = [sigmoid(xr! + ur!), sigmoid(xz! + uz!)];
  return [(1 - z) * Math.tanh(xn! + r * un!) + z * h];
};

const lstm: Cell = (x, u, _, c) => {
  const [i, f, g, o] = x.map((v, gate) => v + u[gate]!) as [number, number, number, number];
  const next = sigmoid(f) * c + sigmoid(i) * Math.tanh(g);
  return [sigmoid(o) * Math.tanh(next), next];
};

const reference =
  (cell: Cell, planes: number, lengths?: number[]) =>
  (inputs: NdArray, first: NdArray, weight: NdArray, bias: NdArray, options: Options = {}): NdArray => {
    const { batchFirst = false, reverse = false } = options;
    const H = weight.shape[1]!;
    const gates = weight.shape[0]! / H;
    const [T, B] = batchFirst ? [inputs.shape[1]!, inputs.shape[0]!] : [inputs.shape[0]!, inputs.shape[1]!];
    const states = ndArray([planes, ...inputs.shape.slice(0, 2), H], new Float64Array(planes * T * B * H));
    for (let b = 0; b < B; b++) {
      let state = Array.from({ length: planes }, (_, p) =>
        Array.from(first.data.slice((p * B + b) * H, (p * B + b + 1) * H)),
      );
      for (let s = 0; s < T; s++) {
        const t = reverse ? T - 1 - s : s;
        const at = batchFirst ? b * T + t : t * B + b;
        const next = state.map(() => new Array<number>(H).fill(0));
        for (let j = 0; j < H; j++) {
          const x = Array.from({ length: gates }, (_, g) => inputs.data[at * gates * H + g * H + j]!);
          const u = x.map((_, g) =>
            state[0]!.reduce((sum, h, k) => sum + h * weight.data[(g * H + j) * H + k]!, bias.data[g * H + j]!),
          );
          cell(x, u, state[0]![j]!, state[1]?.[j] ?? 0).forEach((v, p) => (next[p]![j] = v));
        }
        if (t < (lengths?.[b] ?? T)) state = next;
        for (let p = 0; p < planes; p++) states.data.set(state[p]!, (p * T * B + at) * H);
      }
    }
    return states;
  };

/** Every step of each row, unit by unit; rows of their own lengths keep the state after them. */
export const gruReference = (lengths?: number[]) => reference(gru, 1, lengths);
export const lstmReference = (lengths?: number[]) => reference(lstm, 2, lengths);
