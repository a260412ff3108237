// ONNX Runtime's native build for Node: what a program that needs no browser could use.
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";
import { onnxPeer } from "./onnx.mjs";

const { version } = JSON.parse(readFileSync(new URL("node_modules/onnxruntime-node/package.json", import.meta.url)));

export const open = async (backend) =>
  onnxPeer(ort, version, { executionProviders: [backend], graphOptimizationLevel: "all" });
