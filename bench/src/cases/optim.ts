import { fromArray, sizeOf, type Shape, type Tensor } from "@gpugrad/tensor";
import { AdamW, clipFactor, clipGradNorm } from "@gpugrad/train";
import { expectClose, uniform, type BenchCase } from "../../../packages/tensor/src/testing/bench-op.ts";

/** The parameters of a BERT's encoder of hidden size C, with those of the embeddings if a vocabulary is given. */
function shapesOf(layers: number, C: number, vocab: number): Shape[] {
  const linear = (outputs: number, inputs: number): Shape[] => [[outputs, inputs], [outputs]];
  const norm: Shape[] = [[C], [C]];
  const attention = [1, 2, 3, 4].flatMap(() => linear(C, C));
  const layer = [...attention, ...norm, ...linear(4 * C, C), ...linear(C, 4 * C), ...norm];
  const embeddings: Shape[] = vocab > 0 ? [[vocab, C], [512, C], [2, C], ...norm] : [];
  return [...embeddings, ...Array.from({ length: layers }, () => layer).flat(), ...linear(C, C), ...linear(2, C)];
}

const LR = 1e-3;
const DECAY = 0.01;
const MAX_NORM = 1;
/** Elements of each parameter that are checked, from the first on. */
const CHECKED = 256;

const rungs = [
  {
    name: "scale.wgsl",
    idea: "clipping in place: a pass over all gradients before the step",
    run: (parameters: Tensor[], optimizer: AdamW): Tensor => {
      const norm = clipGradNorm(parameters, MAX_NORM);
      optimizer.step();
      return norm;
    },
  },
  {
    name: "adamw.wgsl",
    idea: "the step multiplies gradients by the factor while it reads them",
    run: (parameters: Tensor[], optimizer: AdamW): Tensor => {
      const by = clipFactor(parameters, MAX_NORM);
      optimizer.step(by);
      return by.norm;
    },
  },
];

/** Clipping by the norm and a step of AdamW, without forward and backward. */
function stepOf(name: string, shapes: Shape[], gpuOnly = false): BenchCase {
  const count = shapes.reduce((total, shape) => total + sizeOf(shape), 0);
  return {
    name,
    flops: 0,
    bytes: 4 * 8 * count, // the gradient is read for the norm; then p, g, m, v are read and p, m, v written
    gpuOnly,
    rungs,
    prepare(sets = 1, rung = 1) {
      const made = Array.from({ length: Math.min(sets, 2) }, () => {
        const parameters = shapes.map((shape, i) => {
          const p = fromArray(uniform(sizeOf(shape), i), shape).requireGrad();
          p.grad = fromArray(uniform(sizeOf(shape), 1000 + i), shape);
          return p;
        });
        const optimizer = new AdamW(
          parameters.map((p, i) => [`p${i}`, p]),
          { lr: LR, weightDecay: DECAY },
        );
        return { parameters, optimizer };
      });
      return {
        run: (set) => {
          const { parameters, optimizer } = made[set % made.length]!;
          return rungs[rung]!.run(parameters, optimizer);
        },
        // The first step of AdamW moves every element by lr, against the sign of its gradient.
        async verify(norm) {
          let squares = 0;
          for (const [i, shape] of shapes.entries()) for (const g of uniform(sizeOf(shape), 1000 + i)) squares += g * g;
          const total = Math.sqrt(squares);
          expectClose(await (norm as Tensor).data(), [total], { rtol: 1e-5, atol: 0 });
          for (const [i, p] of made[0]!.parameters.entries()) {
            const gradient = uniform(p.size, 1000 + i);
            const want = uniform(p.size, i).map((before, k) => {
              const g = (gradient[k]! * MAX_NORM) / total;
              return before * (1 - LR * DECAY) - (LR * g) / (Math.abs(g) + 1e-8);
            });
            const got = await p.data();
            const ends = [...want.keys()].filter((k) => k < CHECKED || k >= want.length - CHECKED);
            expectClose(
              ends.map((k) => got[k]!),
              ends.map((k) => want[k]!),
              { rtol: 1e-6, atol: 2e-6 },
            );
          }
        },
      };
    },
  };
}

export const optimCases: BenchCase[] = [
  stepOf("adamw_minilm-l6", shapesOf(6, 384, 30522)),
  stepOf("adamw_bert-base-encoder", shapesOf(12, 768, 0), true),
];
