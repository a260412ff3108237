// pnpm new:op NAME, pnpm new:model NAME: a room with everything that one has, and a test that passes. The templates beside this file are the
// files as they will be; an op begins as softsign (docs/adding-an-op.md), a model as an encoder like BERT (docs/decisions/families.md).
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { homes, makeRoom, type Kind } from "./make.ts";

const next: Record<Kind, string[]> = {
  op: [
    "Put your formula into the reference, then into the kernels and the op: docs/adding-an-op.md.",
    "Export it from packages/tensor/src/functional.ts, and name it in docs/reading-order.md and scripts/xray/calls.ts.",
  ],
  model: [
    "Give parts the names that the checkpoint has, and what they compute: docs/decisions/families.md.",
    "Add the family to packages/bert/src/models/auto.ts, and export its classes from packages/bert/src/index.ts.",
  ],
};

const [kind, name] = argv.slice(2) as [Kind, string | undefined];
if (name === undefined) {
  console.error(`Usage: pnpm new:${kind} NAME`);
  process.exitCode = 2;
} else {
  try {
    const files = makeRoom(fileURLToPath(new URL("../..", import.meta.url)), kind, name);
    console.log(files.join("\n"));
    const steps = [`pnpm test:watch ${homes[kind]}/${name}`, ...next[kind]];
    console.log(["", ...steps.map((step, i) => `${i + 1}. ${step}`)].join("\n"));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
