import {
  AutoConfig,
  AutoModelForSequenceClassification,
  AutoTokenizer,
  BertConfig,
  BertForSequenceClassification,
  folderOf,
  localFolder,
  type Folder,
  type Tokenizer,
} from "@gpugrad/bert";
import { manualSeed, memoryByOwner } from "@gpugrad/tensor";
import {
  confusionMatrix,
  labelConfig,
  Trainer,
  trainWordPiece,
  type Dataset,
  type TrainableModel,
  type TrainerCallback,
} from "@gpugrad/train";
import { openData } from "./data.ts";
import type { PlayEvent, RunRecord } from "./events.ts";
import { look, nearest } from "./look.ts";
import type { Settings } from "./settings.ts";

/** What a job is given beside its record. */
export interface JobOptions {
  files?: readonly File[];
  modelFiles?: readonly File[];
  /** Where its checkpoints are, in the file system of the platform; without it, nothing is kept. */
  folder?: string;
  /** A checkpoint to continue from. */
  resumeFrom?: string | undefined;
  /** What the device is called. */
  device?: string;
  emit: (event: PlayEvent) => void;
  /** Called when the record has changed and what it says is in a checkpoint, or the run is over. */
  keep?: (record: RunRecord) => Promise<void>;
}

/** How many rows of the training set are compared with the sentence. */
const COMPARED = 256;

/** A run with a Trainer, which says what happens by events. It is the same in a worker and in Node. */
export class Job {
  readonly record: RunRecord;
  readonly trainer: Trainer<BertForSequenceClassification>;
  readonly tokenizer: Tokenizer;
  readonly #options: JobOptions;
  readonly #train: Dataset;
  #endsAs: "paused" | "stopped" = "stopped";
  #compared: Promise<{ text: string; label: string }[]> | undefined;

  private constructor(
    record: RunRecord,
    model: TrainableModel,
    tokenizer: Tokenizer,
    data: { train: Dataset; evaluated: Dataset },
    options: JobOptions,
  ) {
    this.record = record;
    this.tokenizer = tokenizer;
    this.#train = data.train;
    this.#options = options;
    this.trainer = new Trainer({
      ...{ model: model as BertForSequenceClassification, tokenizer },
      ...{ trainDataset: data.train, evalDataset: data.evaluated },
      args: argumentsOf(record.settings, options.folder),
      callbacks: [this.#callback()],
    });
    record.totalSteps = this.trainer.totalSteps;
    record.parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
    record.labels = labelsOf(data.train);
    options.emit({
      ...{ type: "begin", run: record, device: options.device ?? "" },
      rows: [data.train.length, data.evaluated.length],
    });
  }

  /** Opens data and model. A run that is continued has its model and tokenizer from the checkpoint. */
  static async open(record: RunRecord, options: JobOptions): Promise<Job> {
    const { settings } = record;
    options.emit({ type: "note", text: "Opening the data …" });
    const data = await openData(settings, options.files ?? []);
    options.emit({ type: "note", text: "Opening the model …" });
    manualSeed(Number(settings.seed));
    const { model, tokenizer } = await openModel(settings, data.train, options);
    return new Job(record, model, tokenizer, data, options);
  }

  /** Trains to the end, or until it is stopped. */
  async run(): Promise<void> {
    const { record } = this;
    try {
      if (!record.first) await this.look();
      const { completed } = await this.trainer.train({ resumeFromCheckpoint: this.#options.resumeFrom ?? null });
      record.status = completed || this.trainer.state.globalStep >= record.totalSteps ? "finished" : this.#endsAs;
    } catch (error) {
      record.status = "failed";
      this.#options.emit({ type: "failed", message: (error as Error).message });
      await this.#options.keep?.(record);
      return;
    }
    await this.look();
    await this.compare();
    await this.#options.keep?.(record);
    this.#options.emit({ type: "end", status: record.status, step: record.step });
  }

  /** Ends training after the update under way, with a checkpoint. */
  stop(as: "paused" | "stopped"): void {
    this.#endsAs = as;
    this.trainer.stop();
  }

  /** Looks at the sentence as the model is now. */
  async look(): Promise<void> {
    const { record } = this;
    const { sentence, max_length } = record.settings;
    const found = await look(this.trainer.model, this.tokenizer, sentence, {
      step: this.trainer.state.globalStep,
      maxLength: this.#longest(Number(max_length)),
    });
    record.first ??= found;
    record.last = found;
    this.#options.emit({ type: "look", look: found });
  }

  /** Which rows the model takes to be like the sentence. */
  async compare(): Promise<void> {
    const { settings, labels } = this.record;
    this.#compared ??= Promise.all(
      Array.from({ length: Math.min(COMPARED, this.#train.length) }, (_, i) => this.#train.row(i)),
    ).then((rows) =>
      rows.map(({ text, label }) => ({ text, label: label === undefined ? "" : (labels[label] ?? `${label}`) })),
    );
    const maxLength = this.#longest(Number(settings.max_length));
    const rows = (await this.#compared).slice(0, this.#affordable(maxLength));
    const neighbours = await nearest(this.trainer.model, this.tokenizer, settings.sentence, rows, { maxLength });
    this.#options.emit({ type: "nearest", step: this.trainer.state.globalStep, neighbours });
  }

  #longest(wanted: number): number {
    return Math.min(wanted, this.tokenizer.modelMaxLength);
  }

  /** How many rows may be compared in about a fifth of a tera-operation. */
  #affordable(tokens: number): number {
    return Math.max(16, Math.floor(2e11 / (2 * this.record.parameters * tokens)));
  }

  #callback(): TrainerCallback {
    const { emit, keep } = this.#options;
    const { record } = this;
    const lookSteps = Number(record.settings.look_steps);
    return {
      onTrainBegin: (_args, state) => {
        record.status = "training";
        // What a checkpoint doesn't have is done again.
        record.steps = record.steps.filter(({ step }) => step <= state.globalStep);
        record.evaluations = record.evaluations.filter(({ step }) => step <= state.globalStep);
      },
      onStepEnd: async (_args, state) => {
        if (state.globalStep % lookSteps === 0) await this.look();
      },
      onStepResult: (_args, _state, _control, { result }) => {
        const { step, loss, gradNorm, learningRate, tokensPerSecond, secondsLeft } = result!;
        record.step = step;
        record.steps.push({ step, loss, gradNorm, learningRate, tokensPerSecond, secondsLeft });
        emit({ type: "step", step: record.steps.at(-1)! });
        if (step === 1 || step % 25 === 0) {
          const owners = Object.entries(memoryByOwner()).map(([owner, { bytes }]) => [owner, bytes] as const);
          emit({ type: "memory", owners: Object.fromEntries(owners) });
        }
      },
      onEvaluate: async (_args, { globalStep }, _control, { metrics = {}, prediction }) => {
        const { labels, classes, numLabels } = prediction!;
        const ids = Array.from({ length: numLabels }, (_, id) => id);
        const isOneClass = numLabels > 1 && labels?.length === classes.length;
        const evaluation = {
          ...{ step: globalStep, metrics },
          ...(isOneClass && { confusion: confusionMatrix(labels, classes, { labels: ids }) }),
        };
        record.evaluations.push(evaluation);
        record.metrics = metrics;
        emit({ type: "evaluation", evaluation });
        await this.compare();
      },
      onSave: async (_args, { globalStep }) => {
        await keep?.(record);
        emit({ type: "saved", step: globalStep });
      },
      onWarning: (_args, _state, _control, { warning }) => emit({ type: "note", text: warning! }),
    };
  }
}

/** The Trainer's arguments, by Hugging Face's names. */
function argumentsOf(settings: Settings, folder: string | undefined): Record<string, string | number | boolean | null> {
  const { learning_rate, num_train_epochs, max_steps, per_device_train_batch_size, per_device_eval_batch_size, seed } = settings; // prettier-ignore
  const { gradient_accumulation_steps, max_length, optim, lr_scheduler_type, warmup_steps, weight_decay } = settings;
  const { max_grad_norm, label_smoothing_factor, eval_steps, save_steps } = settings;
  return {
    ...{ learning_rate, num_train_epochs, max_steps, per_device_train_batch_size, per_device_eval_batch_size, seed },
    ...{ gradient_accumulation_steps, max_length, optim, lr_scheduler_type, warmup_steps, weight_decay },
    ...{ max_grad_norm, label_smoothing_factor, eval_steps, save_steps },
    ...{ padding: "longest", eval_strategy: "steps", logging_steps: eval_steps },
    ...(folder === undefined
      ? { save_strategy: "no" }
      : { output_dir: folder, save_strategy: "steps", save_total_limit: 2, overwrite_output_dir: true }),
  };
}

const labelsOf = ({ labels: { names, numLabels } }: Dataset): string[] =>
  names ? [...names] : Array.from({ length: numLabels }, (_, id) => `LABEL_${id}`);

/** The model of a run before its first update, or as a checkpoint has it. */
async function openModel(
  settings: Settings,
  train: Dataset,
  { modelFiles = [], resumeFrom, emit }: JobOptions,
): Promise<{ model: TrainableModel; tokenizer: Tokenizer }> {
  const labels = labelConfig(train);
  const from = resumeFrom === undefined ? await startOf(settings, modelFiles) : await localFolder(resumeFrom);
  if (from !== undefined) {
    const hub = { endpoint: String(settings.endpoint) };
    const tokenizer = await AutoTokenizer.fromPretrained(from, hub);
    const model = await AutoModelForSequenceClassification.fromPretrained(from, {
      ...{ ...hub, dtype: "f32", config: labels, ignoreMismatchedSizes: true },
      onReport: (text) => emit({ type: "note", text }),
      onProgress: ({ file, loaded, total }) => emit({ type: "note", text: `${file}: ${megabytes(loaded)} of ${megabytes(total)} MB` }), // prettier-ignore
    });
    return { model, tokenizer };
  }
  const { hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, vocab_size, max_length, dropout } = settings; // prettier-ignore
  const texts: string[] = [];
  for await (const { text } of train) if (texts.push(text) === 20_000) break;
  const tokenizer = trainWordPiece(texts, { vocabSize: Number(vocab_size), maxLength: Number(max_length) });
  const config = new BertConfig({
    ...labels,
    vocab_size: tokenizer.vocabSize,
    hidden_size: Number(hidden_size),
    num_hidden_layers: Number(num_hidden_layers),
    num_attention_heads: Number(num_attention_heads),
    intermediate_size: Number(intermediate_size),
    max_position_embeddings: Number(max_length),
    hidden_dropout_prob: Number(dropout),
    attention_probs_dropout_prob: Number(dropout),
    initializer_range: 0.06, // from random weights so small a model learns sooner when they are larger than BERT's
  });
  return { model: BertForSequenceClassification.fromConfig(config), tokenizer };
}

/** Where a model is opened from; undefined for one from random weights. */
async function startOf(settings: Settings, files: readonly File[]): Promise<string | Folder | undefined> {
  if (settings.model === "small") return undefined;
  if (settings.model === "hub") return String(settings.model_name_or_path);
  const folder = folderOf(Object.fromEntries(files.map((file) => [file.name, file])), "the folder");
  await AutoConfig.fromPretrained(folder); // says what is missing
  return folder;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
