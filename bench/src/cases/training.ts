import { noGrad } from "@gpugrad/autograd";
import { BertConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { autocast, fromArray, keep, manualSeed, record, scope, type Recording, type Tensor } from "@gpugrad/tensor";
import { AdamW, clipGradNorm, GradScaler, noDecayGroups, SGD } from "@gpugrad/train";
import { uniform, uniformInts, type BenchCase } from "../../../packages/tensor/src/testing/bench-op.ts";

/** What a BERT is made of. */
interface Size {
  hidden: number;
  layers: number;
  heads: number;
  inner: number;
  vocab: number;
  length: number;
}

/** A classifier with random weights, in training mode: dropout 0.1. */
export function classifier({ hidden, layers, heads, inner, vocab, length }: Size): BertForSequenceClassification {
  manualSeed(1);
  const config = new BertConfig({
    vocab_size: vocab,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: inner,
    max_position_embeddings: length,
  });
  const model = BertForSequenceClassification.fromConfig(config);
  model.train();
  return model;
}

/** A batch on the device: rows that end in padding, with lengths between half and all of `length`. */
function batchOf(vocab: number, rows: number, length: number) {
  const lengths = Array.from(uniform(rows, 60), (v) => Math.ceil((length * (v + 3)) / 4));
  const mask = Int32Array.from({ length: rows * length }, (_, i) =>
    Number(i % length < lengths[Math.floor(i / length)]!),
  );
  const ids = uniformInts(rows * length, 50, vocab).map((id, i) => id * mask[i]!);
  return {
    input_ids: fromArray(ids, [rows, length], "i32"),
    attention_mask: fromArray(mask, [rows, length], "i32"),
    labels: fromArray(uniformInts(rows, 70, 2), [rows], "i32"),
  };
}

/** A step as the Trainer takes it: forward, backward, gradients clipped to 1, AdamW; in mixed precision with `f16`. */
export function trainingStep(
  model: BertForSequenceClassification,
  { rows, length, f16 = false }: { rows: number; length: number; f16?: boolean },
) {
  const batch = batchOf(model.config.vocab_size, rows, length);
  const optimizer = new AdamW(noDecayGroups([...model.namedParameters()]), { lr: 5e-5, weightDecay: 0.01 });
  const scaler = new GradScaler({ enabled: f16, initScale: 1024 });
  const loss = (): Tensor => autocast(() => model.forward(batch).loss!, { dtype: f16 ? "f16" : "f32" });
  const step = (): Tensor =>
    scope(() => {
      const value = loss();
      scaler.scale(value).backward();
      scaler.step(optimizer, { maxNorm: 1 });
      scaler.update();
      optimizer.zeroGrad();
      return value;
    });
  return { step, loss, optimizer, scaler };
}

/** The same step again and again: at the second call it is recorded, from the third on replayed, as the Trainer does it. */
export function recorded(step: () => Tensor): () => Tensor {
  let calls = 0;
  let made: { result: Tensor; recording: Recording } | undefined;
  return () => {
    if (made) made.recording.replay();
    else if (calls++ === 0) return step();
    else keep((made = record(step)).result);
    return made.result.alias();
  };
}

interface TrainingBench {
  size: Omit<Size, "vocab" | "length">;
  rows: number;
  length: number;
  f16?: boolean;
  gpuOnly?: boolean;
}

const VOCAB = 30522;

function trainingCase(name: string, { size, rows, length, f16 = false, gpuOnly = false }: TrainingBench): BenchCase {
  const { hidden: C, layers, inner: F } = size;
  const forward =
    2 * layers * (4 * C * C + 2 * C * F) * rows * length + 4 * layers * rows * length ** 2 * C + 2 * rows * C * C;
  const parameters = (VOCAB + length + 2) * C + layers * (4 * C * C + 2 * C * F) + C * C;
  return {
    name: name + (f16 ? "_f16amp" : ""),
    flops: 3 * forward,
    bytes: 4 * 7 * parameters, // AdamW alone: the weight, its gradient and two moments are read, all but the gradient written
    arithmetic: f16 ? "f16" : "f32",
    wall: true,
    gpuOnly,
    prepare() {
      const model = classifier({ ...size, vocab: VOCAB, length });
      const { step, loss, optimizer, scaler } = trainingStep(model, { rows, length, f16 });
      return {
        run: recorded(step),
        // Without dropout, against the gradient the loss has to fall as steeply as the gradient is long.
        async verify() {
          model.eval();
          const value = scope(loss);
          scope(() => scaler.scale(value).backward());
          scaler.unscale(optimizer);
          const [start, norm] = [await value.item(), await clipGradNorm(optimizer.parameters, Infinity).item()];
          const along = new SGD(model.namedParameters());
          const h = 0.02 / norm; // changes the loss by 0.02
          along.lr = h / norm;
          const down = async (): Promise<number> => {
            along.step();
            return scope(() => noGrad(loss)).item();
          };
          const [one, two] = [await down(), await down()];
          along.dispose();
          scaler.update();
          optimizer.zeroGrad();
          model.train();
          const slope = (3 * start - 4 * one + two) / (2 * h); // of the parabola through the three
          if (!(Math.abs(slope - norm) <= 0.03 * norm && Math.abs(start - Math.LN2) < 0.3)) {
            throw new Error(
              `wrong result: loss ${start}; along the gradient it falls by ${slope}, not by the gradient's norm ${norm}`,
            );
          }
        },
      };
    },
  };
}

const minilm = { hidden: 384, layers: 6, heads: 12, inner: 1536 };
const tiny = { hidden: 128, layers: 2, heads: 2, inner: 512 };
const base = { hidden: 768, layers: 12, heads: 12, inner: 3072 };

/** One fine-tuning step each. */
export const trainingCases: BenchCase[] = [
  trainingCase("train_bert-tiny_B16T128", { size: tiny, rows: 16, length: 128 }),
  trainingCase("train_bert-tiny_B16T128", { size: tiny, rows: 16, length: 128, f16: true }),
  trainingCase("train_minilm-l6_B16T128", { size: minilm, rows: 16, length: 128 }),
  trainingCase("train_minilm-l6_B16T128", { size: minilm, rows: 16, length: 128, f16: true, gpuOnly: true }),
  trainingCase("train_bert-base_B16T256", { size: base, rows: 16, length: 256, gpuOnly: true }),
  trainingCase("train_bert-base_B16T256", { size: base, rows: 16, length: 256, f16: true, gpuOnly: true }),
];
