// `#tokenize-worker` in this workspace: runs src/data/tokenize-worker.ts from its source, since a thread does not inherit what
// scripts/run.mjs or Vitest set up. When published, `#tokenize-worker` is the built file.
import "../../../scripts/text-loader.mjs";
import { register } from "tsx/esm/api";

register();
await import("../src/data/tokenize-worker.ts");
