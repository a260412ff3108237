import { activation, Dropout, Linear, Module, type Activation } from "@gpugrad/nn";
import { select, type Tensor } from "@gpugrad/tensor";

/** A classifier on the first token: dropout, dense, activation, dropout, projection. RoBERTa's, and that of families after it. */
export class ClassificationHead extends Module {
  readonly dense: Linear;
  readonly dropout: Dropout;
  readonly out_proj: Linear;
  readonly #act: (x: Tensor) => Tensor;

  constructor(hiddenSize: number, numLabels: number, dropoutP: number, act: Activation) {
    super();
    this.dense = new Linear(hiddenSize, hiddenSize);
    this.dropout = new Dropout(dropoutP);
    this.out_proj = new Linear(hiddenSize, numLabels);
    this.#act = activation(act);
  }

  /** @param x [B, T, C] @returns [B, numLabels] */
  forward(x: Tensor): Tensor {
    const dense = this.dense.forward(this.dropout.forward(select(x, 1, 0)));
    return this.out_proj.forward(this.dropout.forward(this.#act(dense)));
  }
}
