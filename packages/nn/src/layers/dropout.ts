import { argumentCheck, dropout, type Tensor } from "@gpugrad/tensor";
import { Module } from "../module.ts";

const checkDropout = argumentCheck("Dropout", { p: "probability below 1" });

/** Drops each element with probability p while training, and scales the others by 1 / (1 − p). */
export class Dropout extends Module {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    checkDropout([p]);
    this.p = p;
  }

  /** The probability in force now: 0 outside of training. */
  get activeP(): number {
    return this.training ? this.p : 0;
  }

  forward(x: Tensor): Tensor {
    return this.activeP > 0 ? dropout(x, { p: this.p }) : x;
  }
}
