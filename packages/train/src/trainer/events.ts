import type { TrainingArguments } from "../arguments/training-arguments.ts";
import {
  callAll,
  callInner,
  checkCallback,
  defaultFlow,
  isInner,
  type CallbackContext,
  type CallbackFunction,
  type TrainerCallback,
  type TrainerEvent,
  type UpdateEvent,
} from "./callbacks.ts";
import { freshControl, freshState, type LogEntry, type TrainerControl, type TrainerState } from "./trainer-state.ts";

/** What callbacks see of a run under way. */
export interface RunView extends Pick<Required<CallbackContext>, "optimizer" | "lrScheduler"> {
  state: TrainerState;
  control: TrainerControl;
}

/** The callbacks of a Trainer, what they are given, and the log. */
export class Events {
  readonly #args: TrainingArguments;
  readonly #context: CallbackContext;
  readonly #callbacks: (TrainerCallback | CallbackFunction)[] = [defaultFlow];
  /** Warnings that nobody could wait for where they arose. */
  readonly #warnings: Promise<void>[] = [];
  #run: RunView | undefined;
  #state = freshState();

  /** @param context what every event has: the model, its tokenizer and task, the datasets */
  constructor(args: TrainingArguments, context: CallbackContext) {
    this.#args = args;
    this.#context = context;
  }

  /** Of the run under way, or of the last one. */
  get state(): TrainerState {
    return this.#run?.state ?? this.#state;
  }

  /** Whether a run is under way. */
  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  begin(run: RunView): void {
    this.#run = run;
  }

  end(): void {
    this.#state = this.state;
    this.#run = undefined;
  }

  /** Adds a callback, after those there are. @throws for what can't be one */
  add(callback: TrainerCallback | CallbackFunction): void {
    checkCallback(callback);
    this.#callbacks.push(callback);
  }

  /** The callbacks that aren't plain functions. */
  get objects(): TrainerCallback[] {
    return this.#callbacks.filter((callback) => typeof callback !== "function");
  }

  async emit(event: TrainerEvent, more: Partial<CallbackContext> = {}): Promise<void> {
    await this.#call(event, more);
    while (this.#warnings.length > 0) await this.#warnings.shift();
  }

  /** The callbacks that are called inside an update. */
  get innerCallbacks(): TrainerCallback[] {
    return this.objects.filter(isInner);
  }

  /** Calls the inner callbacks, at once. */
  emitInner(event: UpdateEvent): void {
    callInner(this.innerCallbacks, event, ...this.#arguments());
  }

  async log(logs: LogEntry): Promise<void> {
    const { epoch, globalStep: step, logHistory } = this.state;
    const entry = { ...logs, epoch, step };
    logHistory.push(entry);
    await this.emit("onLog", { logs: entry });
  }

  /** Something is wrong that the run survives. */
  warn(warning: string): Promise<void> {
    return this.emit("onWarning", { warning });
  }

  /** Like `warn`, for callers that can't wait: what a handler throws is thrown by the next event, or by the one under way. */
  warnLater(warning: string): void {
    const called = this.#call("onWarning", { warning });
    called.catch(() => undefined); // it is awaited later
    this.#warnings.push(called);
  }

  async #call(event: TrainerEvent, more: Partial<CallbackContext>): Promise<void> {
    const isHandled = (callback: TrainerCallback | CallbackFunction): boolean =>
      typeof callback === "function" || callback.onWarning !== undefined;
    if (event === "onWarning" && !this.#callbacks.some(isHandled)) console.warn(`Trainer: ${more.warning}`);
    await callAll(this.#callbacks, event, ...this.#arguments(more));
  }

  #arguments(
    more: Partial<CallbackContext> = {},
  ): Parameters<typeof callAll> extends [unknown, unknown, ...infer G] ? G : never {
    const { optimizer, lrScheduler, control = freshControl() } = this.#run ?? {};
    const running = optimizer && lrScheduler && { optimizer, lrScheduler };
    return [this.#args, this.state, control, { ...this.#context, ...running, ...more }];
  }
}
