import { check } from "../errors.ts";
import { provenance } from "../provenance.ts";
import { packParams, type Kernel, type Params } from "./kernel.ts";
import type { Compilation } from "./compilation.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Bound, PooledBuffer } from "./pool.ts";
import type { Timestamps } from "./timestamps.ts";

/** Dispatches recorded before they are sent off by themselves: a training step of BERT fits into one submit. */
export const BATCH = 1024;

/** What to do instead of an upload in recorded work. */
export const INPUTS_BEFORE = "Make the tensor before, and write() to it before each replay.";

/** What takes part in everything while work is recorded: a `Recording`. */
export interface CommandRecorder {
  add(command: () => void): void;
  addHostWork(work: () => void): void;
  /** Notes what a replay does after the batches so far. */
  addPoint(work: () => void): void;
  /** Notes which of a dispatch's parameters, written at `base`, are live. */
  addLive(kernel: Kernel, params: Params, base: number): void;
  /** What was added since the last batch goes into one submit, with these parameters. */
  endBatch(params: Uint8Array): void;
}

/**
 * Records dispatches into one compute pass and submits them in batches. Parameters lie in one uniform buffer, a slot for each
 * dispatch: they are collected on the host and written once, just before the submit. `writeBuffer` takes effect in queue order,
 * so the slots can be used again for the next batch at once.
 */
export class Queue {
  #device: GPUDevice;
  #report: (error: GPUError) => void;
  #encoder: GPUCommandEncoder | undefined;
  /** What is encoded of the batch, but for what `#encoder` holds. */
  #ready: { commands: GPUCommandBuffer; alone: Compilation | undefined }[] = [];
  #pass: GPUComputePassEncoder | undefined;
  #slotBytes: number;
  #slots: ArrayBuffer;
  #view: DataView;
  #used = 0;
  #dispatches = 0;
  #timestamps: Timestamps | undefined;
  #recording: CommandRecorder | undefined;
  /** Uniform buffer with the parameters of the batch; bound with a dynamic offset. */
  readonly params: GPUBuffer;
  /** Number of the batch being recorded: every submit begins a new one. */
  batch = 0;
  /** Dispatches since the device was made. */
  dispatched = 0;

  /** @param report is called with an error that no kernel's compiling explains */
  constructor(device: GPUDevice, report: (error: GPUError) => void) {
    this.#device = device;
    this.#report = report;
    this.#slotBytes = Math.max(256, device.limits.minUniformBufferOffsetAlignment);
    this.#slots = new ArrayBuffer(this.#slotBytes * BATCH);
    this.#view = new DataView(this.#slots);
    this.params = device.createBuffer({
      label: "params",
      size: this.#slots.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  dispatch(
    kernel: Kernel,
    pipeline: Pipeline,
    buffers: readonly Bound[],
    params: Params,
    workgroups: readonly [number, number, number],
  ): void {
    const offsets: number[] = [];
    if (kernel.paramsBytes > 0) {
      const bytes = Math.ceil(kernel.paramsBytes / this.#slotBytes) * this.#slotBytes;
      if (this.#used + bytes > this.#slots.byteLength) this.flush();
      packParams(kernel, params, this.#view, this.#used);
      this.#recording?.addLive(kernel, params, this.#used);
      offsets.push(this.#used);
      this.#used += bytes;
    }
    const { compilation } = pipeline;
    const { op } = provenance;
    const group =
      compilation.state === "good"
        ? pipeline.bindGroup(buffers)
        : this.#blaming(compilation, () => pipeline.bindGroup(buffers));
    const encode = (): void => {
      this.#encoder ??= this.#device.createCommandEncoder();
      if (this.#timestamps) this.#endPass(); // timestamps are taken per pass
      this.#pass ??= this.#encoder.beginComputePass(
        this.#timestamps && { timestampWrites: this.#timestamps.next(kernel.file, buffers, params, workgroups) },
      );
      this.#pass.setPipeline(pipeline.gpu);
      this.#pass.setBindGroup(0, group, offsets);
      this.#pass.dispatchWorkgroups(...workgroups);
    };
    this.#perform(() => {
      const suspects = suspectsOf(compilation, op, buffers);
      for (const i of kernel.written) buffers[i]!.suspects = suspects;
      if (compilation.state === "good") encode();
      else if (compilation.state === "pending") this.#encodeAlone(compilation, encode);
      for (const buffer of buffers) buffer.batch = this.batch;
      this.dispatched++;
      this.#dispatches++;
    });
    if (this.#dispatches >= BATCH) this.flush();
  }

  copy(from: PooledBuffer, to: PooledBuffer | GPUBuffer, bytes: number): void {
    const [buffer, bound] = "gpu" in to ? [to.gpu, to] : [to];
    this.encode(from, bound, (encoder) => encoder.copyBufferToBuffer(from.gpu, 0, buffer, 0, bytes));
  }

  /** A command outside of passes, which makes `to` of what `from` holds. */
  encode(from: Bound, to: Bound | undefined, command: (encoder: GPUCommandEncoder) => void): void {
    this.#perform(() => {
      this.#encoder ??= this.#device.createCommandEncoder();
      this.#endPass();
      command(this.#encoder);
      from.batch = this.batch;
      if (to) Object.assign(to, { batch: this.batch, suspects: from.suspects });
    });
  }

  /** Fills the first `bytes` bytes with zeros: on CPU adapters many times faster than a kernel. */
  clear(buffer: PooledBuffer, bytes: number): void {
    this.#perform(() => {
      this.#encoder ??= this.#device.createCommandEncoder();
      this.#endPass();
      this.#encoder.clearBuffer(buffer.gpu, 0, bytes);
      buffer.batch = this.batch;
      buffer.suspects = undefined;
    });
  }

  #perform(command: () => void): void {
    command();
    this.#recording?.add(command);
  }

  /**
   * Writes host bytes into a buffer. `writeBuffer` happens before commands that are recorded and not yet submitted, so a
   * batch that uses the buffer is sent off first.
   */
  upload(buffer: PooledBuffer, bytes: Uint8Array, offset = 0): void {
    this.refuseInRecording("data is uploaded", INPUTS_BEFORE);
    if (bytes.byteLength === 0) return; // Deno panics where nothing is written
    if (buffer.batch === this.batch) this.flush();
    // Dawn in Node crashes on views of shared memory; a copy also makes the length whole words.
    const shared = typeof SharedArrayBuffer !== "undefined" && bytes.buffer instanceof SharedArrayBuffer;
    const source = shared || bytes.byteLength % 4 !== 0 ? padded(bytes) : bytes;
    this.#device.queue.writeBuffer(buffer.gpu, offset, source as Uint8Array<ArrayBuffer>);
  }

  /** Submits what is recorded. */
  flush(): void {
    if (!this.#encoder && this.#ready.length === 0) return;
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#endPass();
    const readTimes = this.#timestamps?.resolve(this.#encoder);
    this.#close();
    this.#recording?.endBatch(new Uint8Array(this.#slots.slice(0, this.#used)));
    if (this.#used > 0) this.#device.queue.writeBuffer(this.params, 0, this.#slots, 0, this.#used);
    for (const { commands, alone } of this.#ready) {
      this.#blaming(alone, () => this.#device.queue.submit([commands]));
    }
    this.#ready = [];
    readTimes?.();
    this.#used = 0;
    this.#dispatches = 0;
    this.batch++;
  }

  /** From now on commands are passed to `recording` as well. */
  beginRecording(recording: CommandRecorder): void {
    this.flush();
    this.#recording = recording;
  }

  addHostWork(work: () => void): void {
    this.#recording?.addHostWork(work);
  }

  /** Ends the batch, and has a replay do `work` there. False where nothing is recorded. */
  addPoint(work: () => void): boolean {
    if (!this.#recording) return false;
    this.flush();
    this.#recording.addPoint(work);
    return true;
  }

  endRecording(): void {
    this.flush();
    this.#recording = undefined;
  }

  /** @throws while work is recorded: `what` would not happen again in a replay */
  refuseInRecording(what: string, wayOut: string): void {
    check(!this.#recording, () => `record: ${what} inside the recorded work, which a replay can't do again. ${wayOut}`);
  }

  /** Performs the commands of a recorded batch again, with these parameters. They go out with the next flush. */
  replay(commands: readonly (() => void)[], params: Uint8Array): void {
    this.flush(); // the slots are all needed
    new Uint8Array(this.#slots).set(params);
    this.#used = params.byteLength;
    for (const command of commands) command();
  }

  /** From now on every dispatch is timed: see `profile`. */
  time(timestamps: Timestamps): void {
    this.flush();
    this.#timestamps = timestamps;
  }

  stopTiming(): void {
    this.flush();
    this.#timestamps = undefined;
  }

  /** Encodes a dispatch of a kernel that may not compile: alone, so that nothing else is lost with it. */
  #encodeAlone(compilation: Compilation, encode: () => void): void {
    this.#close();
    this.#blaming(compilation, () => {
      encode();
      this.#close(compilation);
    });
  }

  /** Makes what is encoded so far one command buffer, to be submitted with the batch. */
  #close(alone?: Compilation): void {
    if (!this.#encoder) return;
    this.#endPass();
    this.#ready.push({ commands: this.#encoder.finish(), alone });
    this.#encoder = undefined;
  }

  /** Does `work`; what is invalid in it is the fault of a kernel that does not compile, if that one does not. */
  #blaming<T>(compilation: Compilation | undefined, work: () => T): T {
    if (!compilation || compilation.state === "good") return work();
    this.#device.pushErrorScope("validation");
    try {
      return work();
    } finally {
      const scope = this.#device.popErrorScope().catch(() => null); // a lost device rejects
      const { settled } = compilation;
      compilation.settled = scope.then(async (error) => {
        await settled;
        if (error && compilation.state === "good") this.#report(error);
      });
    }
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }
}

/** What the result of a dispatch depends on and may not compile; what compiles is dropped on the way. */
function suspectsOf(
  compilation: Compilation,
  op: string,
  buffers: readonly Bound[],
): Map<Compilation, string> | undefined {
  let all = compilation.state === "good" ? undefined : new Map([[compilation, op]]);
  for (const { suspects } of buffers) {
    if (!suspects) continue;
    for (const [suspect, by] of suspects) {
      if (suspect.state === "good") continue;
      all ??= new Map<Compilation, string>();
      if (!all.has(suspect)) all.set(suspect, by);
    }
  }
  return all;
}

function padded(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  copy.set(bytes);
  return copy;
}
