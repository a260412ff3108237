import { setValue, type Folder, type Linear } from "@gpugrad/nn";
import { check, clone, keep, scope, type Tensor } from "@gpugrad/tensor";
import { noGrad } from "@gpugrad/autograd";
import { openByName, type HubOptions } from "../opener.ts";
import type { PreTrainedModel } from "../models/pretrained.ts";
import { concatenated, mixed, type CombinationType } from "./combine.ts";
import { LoraConfig, type LoraOptions } from "./lora-config.ts";
import { PREFIX, readAdapter, writeAdapter } from "./lora-files.ts";
import { defaultTargets, isSpared, linearLayers } from "./lora-targets.ts";
import { LoraLinear } from "./lora.ts";

export interface LoadAdapterOptions extends HubOptions {
  /** Whether it is to be trained on. Default: false. */
  isTrainable?: boolean;
}

interface Adapter {
  config: LoraConfig;
  /** Its own values of the parts that it trains whole, by key: as they were when it was active last. */
  whole: Map<string, Tensor>;
}

/** The adapters of models that have some. */
const adapted = new WeakMap<PreTrainedModel, PeftModel>();

/**
 * A model with LoRA adapters: `PeftModel` of PEFT. Only the adapters are trained and saved; the model's own weights stay.
 *
 * ```ts
 * getPeftModel(model, { r: 8, lora_alpha: 16, target_modules: ["query", "value"], task_type: "SEQ_CLS" });
 * const trainer = new Trainer({ model, … });
 * await trainer.train();
 * await trainer.saveModel("my-adapter");
 * ```
 *
 * The file is longer than others since PEFT's methods share the adapters' private state.
 *
 * @see https://huggingface.co/docs/peft/package_reference/peft_model
 */
export class PeftModel<M extends PreTrainedModel = PreTrainedModel> {
  readonly model: M;
  readonly #adapters = new Map<string, Adapter>();
  /** The model's own values of the parts that adapters train whole. */
  readonly #base = new Map<string, Tensor>();
  #active: string[] = [];
  #isMerged = false;

  constructor(model: M) {
    this.model = model;
    adapted.set(model, this);
    for (const parameter of model.parameters()) parameter.requiresGrad = false;
  }

  /** The adapters of a model; undefined where it has none. */
  static of<M extends PreTrainedModel>(model: M): PeftModel<M> | undefined {
    return adapted.get(model) as PeftModel<M> | undefined;
  }

  /**
   * Puts an adapter, of a folder that PEFT or {@link savePretrained} wrote, on a model.
   *
   * @param idOrFolder a folder, or a repository of the Hub
   */
  static async fromPretrained<M extends PreTrainedModel>(
    model: M,
    idOrFolder: string | Folder,
    { adapterName = "default", ...options }: LoadAdapterOptions & { adapterName?: string } = {},
  ): Promise<PeftModel<M>> {
    const peft = new PeftModel(model);
    await peft.loadAdapter(idOrFolder, adapterName, options);
    peft.setAdapter(adapterName);
    if (!options.isTrainable) for (const parameter of model.parameters()) parameter.requiresGrad = false;
    return peft;
  }

  /** The names of all adapters. */
  get adapters(): string[] {
    return [...this.#adapters.keys()];
  }
  /** Those that take part. */
  get activeAdapters(): readonly string[] {
    return this.#active;
  }

  /** How an adapter changes the model. @param name the active one, unless said otherwise */
  configOf(name = this.#active.at(-1) ?? ""): LoraConfig {
    return this.#adapter(name).config;
  }

  /** Adds a fresh adapter, which changes nothing yet. @throws {@link GpugradError} when there is one of this name, or nothing to adapt */
  addAdapter(name: string, options: LoraOptions | LoraConfig): void {
    const config = options instanceof LoraConfig ? options : new LoraConfig(options);
    check(
      /^[\w-]+$/.test(name) && name !== "training",
      () => `addAdapter: ${JSON.stringify(name)} is not a name of letters, digits, - and _.`,
    );
    check(!this.#adapters.has(name), () => `addAdapter: there is an adapter "${name}" already.`);
    this.unmergeAdapter();
    config.values.target_modules ??= defaultTargets(this.model.config.model_type);
    const targets = this.#linears().filter(
      ([path, layer]) => config.isTarget(path) && !isSpared(this.model, path, layer, config),
    );
    check(
      targets.length > 0,
      () =>
        `addAdapter: target_modules ${JSON.stringify(config.values.target_modules)} name no linear layer of ` +
        `${this.model.constructor.name}. There are ${this.#linears().slice(0, 6).map(([path]) => path).join(", ")}, …`, // prettier-ignore
    );
    for (const [path, layer] of targets) {
      const adapted = layer instanceof LoraLinear ? layer : new LoraLinear(layer);
      if (adapted !== layer) this.model.replace(path, adapted);
      const { lora_dropout: dropoutP, use_dora: dora, init_lora_weights: init } = config.values;
      adapted.addAdapter(name, { r: config.rankOf(path), scaling: config.scalingOf(path), dropoutP, dora, init });
      adapted.train(this.model.training);
    }
    this.#adapters.set(name, { config, whole: new Map() });
    for (const [key, parameter] of this.#wholeParts(config))
      if (!this.#base.has(key)) this.#base.set(key, copyOf(parameter));
  }

  #linears(): [path: string, layer: Linear<boolean> | LoraLinear][] {
    return linearLayers(this.model);
  }

  /** Parameters of the parts that an adapter trains whole, and of the biases that it trains, by key. */
  #wholeParts(config: LoraConfig): [key: string, parameter: Tensor][] {
    const paths = Array.from(this.model.namedModules(), ([path]) => path).filter((path) => config.isSavedWhole(path));
    return [...this.model.namedParameters()].filter(([key]) => {
      if (paths.some((path) => key.startsWith(`${path}.`))) return true;
      if (!/(^|\.)bias$/.test(key) || key.includes(".lora_")) return false;
      return config.values.bias === "all" || (config.values.bias === "lora_only" && key.endsWith(".base_layer.bias"));
    });
  }

  #adapter(name: string): Adapter {
    const adapter = this.#adapters.get(name);
    check(
      adapter,
      () => `adapter: there is none of the name "${name}". There are ${this.adapters.join(", ") || "none"}.`,
    );
    return adapter;
  }

  /**
   * Makes these adapters take part, and their parameters trainable; none with `[]`. With several, their updates add up; the parts trained
   * whole are the last one's.
   */
  setAdapter(names: string | readonly string[]): void {
    const wanted = typeof names === "string" ? [names] : [...names];
    for (const name of wanted) this.#adapter(name);
    this.unmergeAdapter();
    this.#storeWholeParts();
    this.#active = wanted;
    for (const [, layer] of this.#linears()) if (layer instanceof LoraLinear) layer.active = wanted;
    const parameters = new Map(this.model.namedTensors());
    for (const values of [this.#base, ...wanted.map((name) => this.#adapter(name).whole)])
      for (const [key, value] of values) setValue(parameters.get(key)!, () => value);
    const trained = this.trainable(wanted);
    for (const [key, parameter] of this.model.namedParameters()) parameter.requiresGrad = trained.has(key);
  }

  /** Keeps the values that the last active adapter has given to the parts that it trains whole. */
  #storeWholeParts(): void {
    const name = this.#active.at(-1);
    if (name === undefined) return;
    const { config, whole } = this.#adapter(name);
    for (const [key, parameter] of this.#wholeParts(config)) {
      whole.get(key)?.dispose();
      whole.set(key, copyOf(parameter));
    }
  }

  /** The keys of all parameters that these adapters train. */
  trainable(names: readonly string[] = this.#active): Set<string> {
    const own = names.map((name) => new RegExp(`\\.lora_(A|B|magnitude_vector)\\.${name}(\\.|$)`));
    const keys = [...this.model.namedParameters()]
      .map(([key]) => key)
      .filter((key) => own.some((regex) => regex.test(key)));
    const whole = names.flatMap((name) => this.#wholeParts(this.#adapter(name).config).map(([key]) => key));
    return new Set([...keys, ...whole]);
  }

  /** Reads an adapter's folder as another adapter of this model. @throws {@link GpugradError} where the file does not fit */
  async loadAdapter(
    idOrFolder: string | Folder,
    name: string,
    { isTrainable = false, ...hub }: LoadAdapterOptions = {},
  ): Promise<void> {
    const folder = await openByName(idOrFolder, hub);
    const config = await LoraConfig.fromPretrained(folder);
    const before = this.#active;
    try {
      this.addAdapter(name, config);
      this.setAdapter(name);
      await readAdapter(folder, new Map(this.#fileKeys(name)));
      this.setAdapter(before);
      if (!isTrainable) for (const parameter of this.model.parameters()) parameter.requiresGrad = false;
    } catch (error) {
      if (this.#adapters.has(name)) this.deleteAdapter(name);
      throw error;
    }
  }

  /** Each key of an adapter's file with its parameter. The adapter has to be active. */
  #fileKeys(name: string): [key: string, parameter: Tensor][] {
    const trained = this.trainable([name]);
    return [...this.model.namedParameters()]
      .filter(([key]) => trained.has(key))
      .map(([key, parameter]) => [
        PREFIX + key.replace(new RegExp(`(\\.lora_\\w+)\\.${name}(?=\\.|$)`), "$1"),
        parameter,
      ]);
  }

  /** Forgets an adapter. */
  deleteAdapter(name: string): void {
    const { whole } = this.#adapter(name);
    this.setAdapter(this.#active.filter((other) => other !== name));
    for (const [, layer] of this.#linears())
      if (layer instanceof LoraLinear && layer.hasAdapter(name)) layer.deleteAdapter(name);
    for (const value of whole.values()) value.dispose();
    this.#adapters.delete(name);
  }

  /**
   * A new adapter out of others. `cat` adds their updates, Σ weight · scaling · B · A, with the sum of their ranks; `linear` mixes A and B,
   * each with √(weight · scaling), which needs equal ranks. A layer that only some of them adapt gets those.
   */
  addWeightedAdapter(
    names: readonly string[],
    weights: readonly number[],
    name: string,
    combinationType: CombinationType = "linear",
  ): void {
    check(
      names.length > 0 && names.length === weights.length,
      () => `addWeightedAdapter: ${names.length} adapters, ${weights.length} weights.`,
    );
    const configs = names.map((each) => this.#adapter(each).config);
    check(
      configs.every(({ values }) => !values.use_dora),
      "addWeightedAdapter: adapters with use_dora can't be combined.",
    );
    this.unmergeAdapter();
    scope(() => this.#combine(names, weights, name, combinationType));
  }

  #combine(names: readonly string[], weights: readonly number[], name: string, combinationType: CombinationType): void {
    const layers = this.#linears().filter(
      ([, layer]) => layer instanceof LoraLinear && names.some((each) => layer.hasAdapter(each)),
    );
    const combined = new Map<string, { A: Tensor; B: Tensor }>();
    for (const [path, layer] of layers as [string, LoraLinear][]) {
      const parts = names.flatMap((each, i) => {
        const part = layer.partsOf(each);
        return part ? [{ ...part, factor: weights[i]! * part.scaling }] : [];
      });
      combined.set(
        path,
        noGrad(() => (combinationType === "cat" ? concatenated(parts) : mixed(path, parts))),
      );
    }
    const ranks = Object.fromEntries([...combined].map(([path, { A }]) => [escaped(path), A.shape[0]!]));
    this.addAdapter(name, { target_modules: [...combined.keys()], rank_pattern: ranks, alpha_pattern: ranks });
    for (const [path, layer] of this.#linears()) {
      const part = combined.get(path);
      if (!part || !(layer instanceof LoraLinear)) continue;
      const own = layer.partsOf(name)!;
      setValue(own.A, () => part.A);
      setValue(own.B, () => part.B);
    }
  }

  /** Writes the active adapters into the weights, so that the model is as fast as without them. */
  mergeAdapter(): void {
    for (const [, layer] of this.#linears()) if (layer instanceof LoraLinear) layer.merge();
    this.#isMerged = true;
  }

  /** Takes them out again: the weights are what they were, to the byte. */
  unmergeAdapter(): void {
    if (!this.#isMerged) return;
    for (const [, layer] of this.#linears()) if (layer instanceof LoraLinear) layer.unmerge();
    this.#isMerged = false;
  }

  /** The model with the active adapters in its weights, and no adapters any more: saved, it is a checkpoint as any other. */
  mergeAndUnload(): M {
    this.mergeAdapter();
    for (const [path, layer] of this.#linears()) {
      if (!(layer instanceof LoraLinear)) continue;
      for (const name of this.adapters) if (layer.hasAdapter(name)) layer.deleteAdapter(name);
      layer.forgetOriginal();
      this.model.replace(path, layer.base_layer);
    }
    this.#forgetWholeParts();
    for (const parameter of this.model.parameters()) parameter.requiresGrad = true;
    adapted.delete(this.model);
    return this.model;
  }

  #forgetWholeParts(): void {
    for (const { whole } of this.#adapters.values()) for (const value of whole.values()) value.dispose();
    for (const value of this.#base.values()) value.dispose();
    this.#adapters.clear();
    this.#base.clear();
    this.#active = [];
    this.#isMerged = false;
  }

  /** Gives the active adapter the values that {@link savePretrained} wrote. @throws {@link GpugradError} where the file is another adapter's */
  async loadWeights(idOrFolder: string | Folder): Promise<void> {
    await readAdapter(await openByName(idOrFolder), new Map(this.#fileKeys(this.#active.at(-1) ?? "")));
  }

  /**
   * Writes adapter_config.json and adapter_model.safetensors, as PEFT does and reads, and the model's config.json, which has its labels.
   * @param name the active one, unless said otherwise
   */
  async savePretrained(folder: string, name = this.#active.at(-1) ?? ""): Promise<void> {
    const { config } = this.#adapter(name);
    check(
      this.#active.at(-1) === name && !this.#isMerged,
      () => `savePretrained: "${name}" is not the active adapter. Call setAdapter("${name}").`,
    );
    config.values.base_model_name_or_path ??= this.model.nameOrPath ?? null;
    await writeAdapter(folder, config, this.#fileKeys(name));
    await this.model.saveConfig(folder);
  }

  /** Gives the memory of model and adapters back. */
  dispose(): void {
    for (const [, layer] of this.#linears()) if (layer instanceof LoraLinear) layer.forgetOriginal();
    this.#forgetWholeParts();
    adapted.delete(this.model);
    this.model.dispose();
  }
}

/** Adapts a model: PEFT's `get_peft_model`. Its own parameters are frozen, the adapter's are to be trained. */
export function getPeftModel<M extends PreTrainedModel>(
  model: M,
  options: LoraOptions,
  adapterName = "default",
): PeftModel<M> {
  const peft = new PeftModel(model);
  peft.addAdapter(adapterName, options);
  peft.setAdapter(adapterName);
  return peft;
}

/** A copy that lives until it is disposed. */
const copyOf = (x: Tensor): Tensor =>
  keep(
    scope(() => clone(x.detach())),
    "adapters",
  );
const escaped = (name: string): string => name.replaceAll(".", "\\.");
