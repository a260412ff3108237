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
/** How many elements of each parameter are checked, of the first and of the last ones. */
const ENDS = 256;

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

function* endsOf(size: number): Iterable<number> {
  for (let k = 0; k < Math.min(size, ENDS); k++) yield k;
  for (let k = Math.max(ENDS, size - ENDS); k < size; k++) yield k;
}

/** Clipping by the norm and a step of AdamW, without forward and backward. */
export function stepOf(name: string, shapes: Shape[], gpuOnly = false): BenchCase {
  const sizes = shapes.map(sizeOf);
  const count = sizes.reduce((total, size) => total + size, 0);
  return {
    name,
    flops: 0,
    bytes: 4 * 8 * count, // the gradient is read for the norm; then p, g, m, v are read and p, m, v written
    gpuOnly,
    rungs,
    prepare(sets = 1, rung = 1) {
      const [values, gradients] = [1, 2].map((seed) => uniform(Math.max(...sizes), seed)) as [
        Float32Array,
        Float32Array,
      ];
      const made = Array.from({ length: Math.min(sets, 2) }, () => {
        const parameters = shapes.map((shape, i) => {
          const p = fromArray(values.subarray(0, sizes[i]), shape).requireGrad();
          p.grad = fromArray(gradients.subarray(0, sizes[i]), shape);
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
          for (const size of sizes) for (let k = 0; k < size; k++) squares += gradients[k]! ** 2;
          const total = Math.sqrt(squares);
          expectClose(await (norm as Tensor).data(), [total], { rtol: 1e-5, atol: 0 });
          for (const p of made[0]!.parameters) {
            const ends = [...endsOf(p.size)];
            const want = ends.map((k) => {
              const g = (gradients[k]! * MAX_NORM) / total;
              return values[k]! * (1 - LR * DECAY) - (LR * g) / (Math.abs(g) + 1e-8);
            });
            const got = await p.data();
            expectClose(
              ends.map((k) => got[k]!),
              want,
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
