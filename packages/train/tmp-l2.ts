import { AutoTokenizer, AutoConfig, BertForSequenceClassification } from "@gpugrad/bert";
import { destroy, init, manualSeed, memory } from "@gpugrad/tensor";
import { Trainer, loadDatasetDict } from "@gpugrad/train";
await init();
const { train, test } = await loadDatasetDict("/work/shared/data/imdb", { splits: ["train", "test"] });
const tokenizer = await AutoTokenizer.fromPretrained("/tmp/scratch/l2h128");
manualSeed(0);
const model = BertForSequenceClassification.fromConfig(await AutoConfig.fromPretrained("/tmp/scratch/l2h128"));
const trainer = new Trainer({ model, tokenizer, trainDataset: train!, evalDataset: test!,
  args: { outputDir: "/tmp/scratch/l2", overwriteOutputDir: true, reportTo: ["all"], seed: 0, learningRate: 5e-4, weightDecay: 0.01, noDecayGroups: false, warmupSteps: 100, lrSchedulerType: "cosine",
   perDeviceTrainBatchSize: 32, perDeviceEvalBatchSize: 64, numTrainEpochs: 1, maxLength: 256, padding: "max_length", loggingSteps: 20, saveSteps: 200, saveTotalLimit: 1 },
  callbacks: [(event, _a, state, _c, { logs, result }) => { if (event === "onLog") console.log(JSON.stringify(logs), (process.memoryUsage.rss() / 2**20).toFixed(0), "MiB", (memory().peakBytes/2**20).toFixed(0)); if (event === "onStepResult" && result!.step % 20 === 1) console.log(result!.step, result!.secondsLeft, result!.tokensPerSecond); }] });
console.log(trainer.totalSteps, await trainer.measureStep());
await trainer.train();
console.log(await trainer.evaluate());
await trainer.saveModel();
await destroy();
