// A model of one's own, trained by the Trainer: a text is the sum of its words' vectors. It needs no change to any package.
import {
  bertTokenizer,
  configFields,
  prepareInputs,
  PretrainedConfig,
  PreTrainedModel,
  sequenceClassificationLoss,
  type ArrayInput,
  type ModelInputs,
} from "@gpugrad/bert";
import { Embedding, LayerNorm, Linear } from "@gpugrad/nn";
import { destroy, init, manualSeed, sum } from "@gpugrad/tensor";
import { Dataset, Trainer } from "@gpugrad/train";

class BagConfig extends PretrainedConfig {
  static override readonly modelType = "bag-of-words";
  static override readonly fields = {
    vocab_size: configFields.size(100, 100_000), // its default, and how large it may be
    hidden_size: configFields.size(16, 4096),
    max_position_embeddings: configFields.size(32, 512),
  };
  declare vocab_size: number;
  declare hidden_size: number;
  declare max_position_embeddings: number;
}

class Bag extends PreTrainedModel<BagConfig> {
  static override readonly architecture = "BagForSequenceClassification";
  static override readonly Config = BagConfig;
  readonly words = new Embedding(this.config.vocab_size, this.config.hidden_size, 0); // padding adds nothing
  readonly norm = new LayerNorm(this.config.hidden_size);
  readonly classifier = new Linear(this.config.hidden_size, this.config.num_labels);

  forward({ labels, ...inputs }: ModelInputs & { labels?: ArrayInput }) {
    const { ids } = prepareInputs(inputs, this.config);
    const logits = this.classifier.forward(this.norm.forward(sum(this.words.forward(ids), { dim: 1 })));
    return { logits, ...(labels !== undefined && { loss: sequenceClassificationLoss(this.config, logits, labels) }) };
  }
}

await init();
manualSeed(1);
const words = [["fine", "warm", "sharp"], ["dull", "flat", "slow"]]; // prettier-ignore
const tokenizer = bertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "and", ...words.flat()]);
const rows = words.flatMap((list, label) => list.flatMap((a) => list.map((b) => ({ text: `${a} and ${b}`, label }))));
const model = Bag.fromConfig(new BagConfig({ vocab_size: tokenizer.vocabSize, initializer_range: 0.5 }));
const [outputDir = "output/bag-of-words"] = process.argv.slice(2);
const args = { outputDir, numTrainEpochs: 4, learningRate: 0.05, perDeviceTrainBatchSize: 6, reportTo: [] };
const dataset = Dataset.fromRows(rows);
const trainer = new Trainer({ model, tokenizer, trainDataset: dataset, evalDataset: dataset, args });
await trainer.train();
await trainer.saveModel();
const { eval_accuracy: accuracy } = await trainer.evaluate();
const opened = await Bag.fromPretrained(outputDir);
const { input_ids } = tokenizer.encode("slow and sharp and sharp");
console.log(JSON.stringify({ accuracy, logits: await opened.forward({ input_ids: [input_ids] }).logits.toArray() }));
await destroy();
