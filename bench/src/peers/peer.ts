import type { Inputs, Kind, Outputs } from "./cases.ts";

/** A case, ready to run: `run` computes it and waits until the result is there. */
export interface Prepared {
  run: () => Promise<void>;
  /** Computes it once more, and gives the numbers. */
  result: () => Promise<Outputs>;
}

/** A library on one of its backends. `prepare` lacks what it cannot do. */
export interface Peer {
  version: string;
  prepare: Partial<Record<Kind, (inputs: Inputs) => Prepared | Promise<Prepared>>>;
}

/** A module that opens a peer; those of other libraries are bench/peers/*.mjs. */
export interface PeerModule {
  open: (backend: string) => Promise<Peer>;
}

/** All that are compared, ours first. `webgpu`: computes on the same adapter as we do. */
export const peers = [
  { label: "gpugrad", module: "gpugrad.ts", backend: "webgpu", webgpu: true },
  { label: "jax-js webgpu", module: "jax.mjs", backend: "webgpu", webgpu: true },
  { label: "tfjs webgpu", module: "tfjs.mjs", backend: "webgpu", webgpu: true },
  { label: "ort-web webgpu", module: "ort-web.mjs", backend: "webgpu", webgpu: true },
  { label: "jax-js wasm", module: "jax.mjs", backend: "wasm", webgpu: false },
  { label: "tfjs wasm", module: "tfjs.mjs", backend: "wasm", webgpu: false },
  { label: "ort-web wasm", module: "ort-web.mjs", backend: "wasm", webgpu: false },
  { label: "ort-node cpu", module: "ort-node.mjs", backend: "cpu", webgpu: false },
] as const;

/** What a worker is asked, and answers. */
export interface Request {
  case: string;
}
export interface Answer {
  /** Times of the runs of this round, or why there are none. */
  samples?: number[];
  /** From the first call until its result was there: compiling included. */
  firstMs?: number;
  missing?: true;
  error?: string;
}
