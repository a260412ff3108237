import {
  deviceDtype,
  Embedding,
  initialize,
  initializers,
  keepInFewerBits,
  Linear,
  Module,
  saveModule,
  withoutValues,
  writeParameter,
  type Folder,
} from "@gpugrad/nn";
import { check, GpugradError, showShape, type DType, type Shape, type Tensor } from "@gpugrad/tensor";
import { openByName, type HubOptions } from "../opener.ts";
import { planLoad, type LoadPlan } from "../weights/load-plan.ts";
import { formatLoadReport } from "../weights/load-report.ts";
import { openWeights } from "../weights/open-weights.ts";
import { LayerStack, type StackedLayer } from "./layer-stack.ts";
import {
  configOf,
  readConfigFile,
  sizesOf,
  type ConfigClass,
  type ConfigValues,
  type PretrainedConfig,
} from "./pretrained-config.ts";

/** How to open a checkpoint, in Hugging Face's terms. */
export interface FromPretrainedOptions<C extends PretrainedConfig = PretrainedConfig> extends HubOptions {
  /** Values that come before those of config.json, such as `{ num_labels: 3 }`. */
  config?: ConfigValues<C>;
  /** What the parameters are kept in: the file's own dtype ("auto"), or another. Training needs f32. */
  dtype?: "auto" | "f32" | "f16" | "bf16";
  /** Keeps the weights of linear layers in f16 or 8 bits, for inference: see `keepInFewerBits` of `@gpugrad/nn`. */
  linearWeights?: "f16" | "int8";
  /** Initialize parameters where the file has another shape, instead of refusing. */
  ignoreMismatchedSizes?: boolean;
  /** Keys whose values come from elsewhere: the checkpoint need not have them. */
  given?: ReadonlySet<string>;
  /** Takes the report of keys that were missing, unexpected or mismatched. Default: stderr. */
  onReport?: (report: string) => void;
}

const dtypeNames: Partial<Record<DType, string>> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

/** Elements of a head that a checkpoint need not have. */
const unsavedElements = 2 ** 26;

/** A class of models that a checkpoint can be opened as. */
export interface ModelClass<M extends PreTrainedModel, C extends PretrainedConfig = ConfigOf<M>> {
  new (config: C): M;
  readonly name: string;
  readonly Config: ConfigClass<C>;
  readonly architecture: string;
  readonly baseModelPrefix: string;
  readonly ignoredKeys?: RegExp | undefined;
}

/** The configuration that a model has. */
export type ConfigOf<M> = M extends PreTrainedModel<infer C> ? C : never;

/**
 * A model with a configuration, which can be opened from a checkpoint and saved as one. A model of one's own extends it, and gives the
 * class of its configuration as `static Config`.
 */
export abstract class PreTrainedModel<C extends PretrainedConfig = PretrainedConfig> extends Module {
  /** The class of the configuration. */
  declare static readonly Config: ConfigClass<PretrainedConfig>;
  /** The name in config.json's `architectures`. */
  static readonly architecture: string = "";
  /** The property by which a family's heads hold the model without a head: the prefix of its keys. */
  static readonly baseModelPrefix: string = "";
  /** Keys of checkpoints that the load report leaves out where the model has no place for them. */
  static readonly ignoredKeys: RegExp | undefined = undefined;

  readonly config: C;
  /** What it was opened from: a repository of the Hub, or a folder; undefined for a model made from a configuration alone. */
  nameOrPath?: string;
  /** What opening the checkpoint found; undefined for a model made from a configuration alone. */
  loadPlan?: LoadPlan;

  constructor(config: C) {
    super();
    config.validate();
    this.config = config;
  }

  /** A model with fresh weights: N(0, initializer_range²), biases 0, layer norms 1 and 0, the padding vector 0. */
  static fromConfig<M extends PreTrainedModel, C extends PretrainedConfig = ConfigOf<M>>(
    this: ModelClass<M, C>,
    config: C,
  ): M {
    const model = withoutValues({}, () => new this(config));
    model.initialize();
    return model;
  }

  /**
   * Opens a checkpoint: a folder, or a repository of the Hub (`namespace/name`). The model comes in evaluation mode.
   *
   * @throws when there is no such checkpoint, a file is damaged, or a shape differs (unless `ignoreMismatchedSizes`)
   * @see https://huggingface.co/docs/transformers/main_classes/model#transformers.PreTrainedModel.from_pretrained
   */
  static async fromPretrained<M extends PreTrainedModel, C extends PretrainedConfig = ConfigOf<M>>(
    this: ModelClass<M, C>,
    idOrFolder: string | Folder,
    options: FromPretrainedOptions<C> = {},
  ): Promise<M> {
    const {
      config: overrides = {},
      dtype = "auto",
      linearWeights,
      ignoreMismatchedSizes = false,
      given = new Set(),
      onReport = console.warn,
      ...hub
    } = options;
    check(this.Config, () => `fromPretrained: ${this.name} has no static Config, the class of its configuration.`);
    const folder = await openByName(idOrFolder, hub);
    const { model_type: savedType, ...values } = await readConfigFile(folder, hub);
    const { modelType } = this.Config;
    if (savedType !== undefined && savedType !== modelType)
      console.warn(
        `${folder.name}: this is a ${JSON.stringify(savedType)}, opened as a ${modelType}: not all weights may fit.`,
      );
    const config = configOf(this.Config, folder.name, values, overrides);
    const weights = await openWeights(folder);
    try {
      const fileDtype = weights
        .keys()
        .map((key) => deviceDtype(weights.info(key).dtype))
        .find((d) => d !== undefined);
      const parameterDtype = dtype === "auto" ? (fileDtype ?? "f32") : dtype;
      const elements = weights.keys().reduce((sum, key) => sum + weights.info(key).shape.reduce((a, b) => a * b, 1), 0);
      const most = 4 * elements + unsavedElements;
      const onParameter = (elements: number, shape: Shape) =>
        check(
          elements <= most,
          () =>
            `config: its sizes make a model of more than ${most} parameters, far more than the checkpoint has. ` +
            `Does config.json belong to these weights? ${showShape(shape)} was too much.`,
        );
      const deferred = { dtype: parameterDtype, onParameter };
      const model = named(folder, () => withoutValues(deferred, () => new this(config)));
      const tensors = new Map(model.namedTensors());
      const all = planLoad({
        expected: new Map([...tensors].map(([key, t]) => [key, t.shape])),
        found: new Map(weights.keys().map((key) => [key, weights.info(key).shape])),
        prefix: this.baseModelPrefix,
        isBase: !(this.baseModelPrefix in model),
        tied: model.tiedKeys(),
        ignored: this.ignoredKeys,
      });
      const tied = model.tiedKeys();
      const isGiven = (key: string): boolean =>
        given.has(key) || tied.some((group) => group.includes(key) && group.some((other) => given.has(other)));
      const plan = {
        ...all,
        missing: all.missing.filter((key) => !isGiven(key)),
        mismatched: all.mismatched.filter(([key]) => !isGiven(key)),
      };
      const report = formatLoadReport(plan, { architecture: this.architecture, from: folder.name });
      if (plan.mismatched.length > 0 && !ignoreMismatchedSizes) {
        model.dispose();
        throw new GpugradError(`${report}\nShapes differ. Pass ignoreMismatchedSizes to initialize these parameters.`);
      }
      if (report) onReport(report);
      model.initialize([...plan.missing, ...plan.mismatched.map(([key]) => key)]);
      for (const [key, fileKey] of plan.assignments) {
        const read = await weights.read(fileKey);
        named({ name: `${weights.name}: ${fileKey}` }, () => writeParameter(tensors.get(key)!, read));
      }
      if (linearWeights) keepInFewerBits(model, linearWeights);
      model.nameOrPath = folder.name;
      model.loadPlan = plan;
      return model;
    } finally {
      await weights.close();
    }
  }

  /**
   * Makes training keep of each encoder layer only its input, and compute the layer again in backward: the same numbers, with far less
   * memory for activations, and one more forward.
   * @throws when the model has no stack of layers
   * @see https://huggingface.co/docs/transformers/main_classes/model#transformers.PreTrainedModel.gradient_checkpointing_enable
   */
  gradientCheckpointingEnable(): void {
    const stacks = stacksOf(this);
    check(stacks.length > 0, () => `gradientCheckpointingEnable: ${this.constructor.name} has no stack of layers.`);
    for (const stack of stacks) stack.gradientCheckpointing = true;
  }

  gradientCheckpointingDisable(): void {
    for (const stack of stacksOf(this)) stack.gradientCheckpointing = false;
  }

  get isGradientCheckpointing(): boolean {
    return stacksOf(this).some((stack) => stack.gradientCheckpointing);
  }

  /** Groups of keys that share one tensor; the first is the key that is saved. */
  tiedKeys(): string[][] {
    const keys = new Map<Tensor, string[]>();
    for (const [key, tensor] of this.namedTensors()) keys.set(tensor, [...(keys.get(tensor) ?? []), key]);
    return [...keys.values()].filter((group) => group.length > 1);
  }

  /** Gives parameters the values they begin with; all of them, or those of `keys`. */
  initialize(keys?: readonly string[]): void {
    const wanted = keys && new Set(keys);
    const done = new Set<Tensor>(); // a tied tensor has several keys
    for (const [path, part] of this.namedModules()) {
      for (const [name, parameter] of part.ownTensors()) {
        if ((wanted && !wanted.has(path ? `${path}.${name}` : name)) || done.has(parameter)) continue;
        done.add(parameter);
        this.initWeight(part, name, parameter);
      }
    }
  }

  /**
   * Gives one parameter of a part the values it begins with: those of `_init_weights` in Transformers. What is neither a linear layer
   * nor an embedding begins as it says itself.
   */
  protected initWeight(part: Module, name: string, parameter: Tensor): void {
    const { initializer_range: std = 0.02 } = sizesOf(this.config);
    if (part instanceof Embedding && name === "weight") part.begin(parameter, std);
    else if (part instanceof Linear && name === "weight") initializers.normal(parameter, { std });
    else if (part instanceof Linear && name === "bias") initializers.zeros(parameter);
    else initialize(parameter);
  }

  /**
   * Writes `config.json` and `model.safetensors` into `folder`, as Transformers does and reads. A tied parameter is written once.
   * Files are written aside and renamed, so that none is ever half there.
   */
  async savePretrained(folder: string): Promise<void> {
    await saveModule(this, `${folder}/model.safetensors`);
    await this.saveConfig(folder);
  }

  /** Writes `config.json` into `folder`, with the name of this class. */
  async saveConfig(folder: string): Promise<void> {
    const { architecture } = this.constructor as typeof PreTrainedModel;
    this.config.architectures = [architecture];
    this.config.dtype = dtypeNames[this.parameters()[0]!.dtype]!;
    await this.config.savePretrained(folder);
  }
}

const stacksOf = (module: Module): LayerStack<StackedLayer>[] =>
  Array.from(module.namedModules(), ([, part]) => part).filter(
    (part): part is LayerStack<StackedLayer> => part instanceof LayerStack,
  );

/** Runs `work`; its error begins with the name of what it is about. */
function named<T>({ name }: { readonly name: string }, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof GpugradError) error.message = `${name}: ${error.message}`;
    throw error;
  }
}
