// ONNX Runtime for browsers, run in Node. Inputs and results are on the host: uploads and downloads are a part of its time.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { onnxPeer } from "./onnx.mjs";

const folder = new URL("node_modules/onnxruntime-web/", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("package.json", folder)));

export async function open(backend) {
  const webgpu = backend === "webgpu";
  if (webgpu) copySharedUploads();
  const ort = await import(new URL(webgpu ? "dist/ort.webgpu.mjs" : "dist/ort.node.min.mjs", folder).href);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = new URL("dist/", folder).href;
  ort.env.wasm.numThreads = webgpu ? 1 : availableParallelism();
  // Node can't fetch file: URLs.
  if (webgpu) ort.env.wasm.wasmBinary = readFileSync(new URL("dist/ort-wasm-simd-threaded.asyncify.wasm", folder));
  return onnxPeer(ort, version, { executionProviders: [backend] });
}

/** Dawn in Node refuses to upload from shared memory, which the heap of threaded WebAssembly is. */
function copySharedUploads() {
  const { GPUQueue } = globalThis;
  const { writeBuffer } = GPUQueue.prototype;
  GPUQueue.prototype.writeBuffer = function (buffer, bufferOffset, data, offset = 0, size = undefined) {
    const memory = data.buffer ?? data;
    if (!(memory instanceof globalThis.SharedArrayBuffer)) {
      return writeBuffer.call(this, buffer, bufferOffset, data, offset, size);
    }
    const width = data.BYTES_PER_ELEMENT ?? 1; // offset and size are in elements of a typed array
    const begin = (data.byteOffset ?? 0) + offset * width;
    const bytes = size === undefined ? data.byteLength - offset * width : size * width;
    return writeBuffer.call(this, buffer, bufferOffset, new Uint8Array(memory).slice(begin, begin + bytes));
  };
}
