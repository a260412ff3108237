import type { Tensor } from "./tensor.ts";

/** The switch behind `debug({ checkNumerics: true })`. */
export const numerics: { enabled: boolean; inspect: (op: string, args: readonly unknown[], output: Tensor) => void } = {
  enabled: false,
  inspect: () => undefined,
};
