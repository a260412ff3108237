/** Which step of the search found the adapter; `env` is the variable `GPUGRAD_ADAPTER`. */
export type AdapterSource = "env" | "hardware" | "lavapipe" | "swiftshader" | "browser";

/** A value that belongs to an asynchronous activity: to what is called and awaited by `work`, and to nothing else. */
export interface ContextVariable<T> {
  getStore(): T | undefined;
  run<R>(value: T, work: () => R): R;
}

/** A WebGPU adapter and how it was found. */
export interface AdapterChoice {
  gpu: GPU;
  adapter: GPUAdapter;
  via: AdapterSource;
  /** The driver's name for the adapter, for people: `llvmpipe (LLVM 15.0.6, 256 bits)`. */
  description: string;
  /** Steps of the search that found nothing, each with its reason. */
  tried: string[];
  /**
   * Releases the `gpu` object, which is otherwise held for the life of the process. Call it only once every device is
   * destroyed and nothing is pending; a program need not call it in order to exit.
   */
  release: () => void;
}
