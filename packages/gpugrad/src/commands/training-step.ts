import { AutoConfig, AutoModelForSequenceClassification, BertConfig, sizesOf, type Heads } from "@gpugrad/bert";
import { autocast, fromArray, keep, manualSeed, scope, type Tensor } from "@gpugrad/tensor";
import { AdamW, GradScaler, noDecayGroups, padTokens, taskFor } from "@gpugrad/train";

export type Classifier = Heads["sequenceClassification"];

/** Sizes that go by a name: hidden size, layers, heads, inner size. */
const sizes: Readonly<Record<string, readonly [number, number, number, number]>> = {
  "bert-tiny": [128, 2, 2, 512],
  minilm: [384, 6, 12, 1536],
  "bert-base": [768, 12, 12, 3072],
  "bert-large": [1024, 24, 16, 4096],
};

export const sizeNames = Object.keys(sizes).join(", ");

/** The configuration of BERT in one of these sizes; undefined for another name. */
export function configOfSize(name: string, seqLength: number): BertConfig | undefined {
  const size = sizes[name.toLowerCase().replace(/-(un)?cased$/, "")];
  if (!size) return undefined;
  const [hidden_size, num_hidden_layers, num_attention_heads, intermediate_size] = size;
  const shape = { hidden_size, num_hidden_layers, num_attention_heads, intermediate_size };
  return new BertConfig({ ...shape, max_position_embeddings: Math.max(512, seqLength) });
}

/** A configuration by the name of a size, or else of a folder or the Hub; no weights are read. */
export const openConfig = async (id: string, seqLength: number) =>
  configOfSize(id, seqLength) ?? (await AutoConfig.fromPretrained(id));

/** A classifier with random weights. */
export function classifierOf(config: Parameters<typeof AutoModelForSequenceClassification.fromConfig>[0]): Classifier {
  manualSeed(0);
  return AutoModelForSequenceClassification.fromConfig(config);
}

export interface StepSizes {
  batchSize: number;
  seqLength: number;
  fp16?: true;
}

/** The forward pass of a training step on a batch that is always the same: gives the loss. */
export function trainingForward(model: Classifier, { batchSize, seqLength, fp16 }: StepSizes): () => Tensor {
  const { vocab_size = 1 } = sizesOf(model.config);
  const rows = Array.from({ length: batchSize }, (_, b) => ({
    ...{ label: 0, labels: [] }, // of these, the task takes what it learns
    input_ids: Int32Array.from({ length: seqLength }, (_, t) => ((b * seqLength + t) * 7919) % vocab_size),
  }));
  const arrays = taskFor(model, undefined).collate(rows, (tokens) => padTokens(tokens, {}));
  const placed = Object.entries(arrays).map(
    ([name, { data, shape, dtype }]) => [name, keep(fromArray(data, shape, dtype))] as const,
  );
  const batch = Object.fromEntries(placed) as Record<string, Tensor> & { input_ids: Tensor };
  model.train();
  return () => scope(() => autocast(() => model.forward(batch).loss!, { dtype: fp16 ? "f16" : "f32" }));
}

/** A training step as the Trainer takes it, to be called again and again, or recorded. What the host does in it is passed to `span`, by name. */
export function trainingStep(
  model: Classifier,
  options: StepSizes,
  span: <T>(name: string, work: () => T) => T = (_, work) => work(),
): () => void {
  const forward = trainingForward(model, options);
  const optimizer = new AdamW(noDecayGroups([...model.namedParameters()]), { lr: 5e-5 });
  const scaler = new GradScaler({ enabled: options.fp16 === true });
  return () =>
    scope(() => {
      const loss = span("forward", forward);
      span("backward", () => scaler.scale(loss).backward());
      span("optimizer", () => {
        scaler.step(optimizer, { maxNorm: 1 });
        scaler.update();
        optimizer.zeroGrad();
      });
    });
}
