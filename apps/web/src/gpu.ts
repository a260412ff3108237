import { init, type Device } from "@gpugrad/tensor";

let opened: Promise<Device> | undefined;

/** Opens WebGPU, once for a page. */
export const openGpu = (): Promise<Device> => (opened ??= init());
