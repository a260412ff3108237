// pnpm tune: which matmul kernel is fastest for a model's layers on this adapter, kept in the cache folder, where init() finds it.
import { adapterKey, destroy, init, TUNING_VERSION } from "@gpugrad/tensor";
import { parseArgs } from "node:util";
import { writeTuning } from "../../packages/tensor/src/runtime/tuning-file.ts";
import { layer, tuneShape, type Shape } from "./tune.ts";

const USAGE = `pnpm tune [options]: times the matmul kernels on this adapter and keeps which are fastest, for init() to read.

  --model bert-base|minilm   whose layers: width and feed-forward width (default: both)
  --tokens 2048,4096         rows: batch × length (default: 2048 for minilm, 4096 for bert-base)
  --layer 4096x768x3072      a layer of your own, tokens × in × out, instead; may be repeated
  --f16                      for mixed precision as well
  --dry-run                  measure, keep nothing
  --help`;

const MODELS: Record<string, { tokens: number; width: number; inner: number }> = {
  "bert-base": { tokens: 4096, width: 768, inner: 3072 },
  minilm: { tokens: 2048, width: 384, inner: 1536 },
};

/** The shapes to measure, each once. */
function shapesOf(models: readonly string[], tokens: readonly number[], layers: readonly string[]): Shape[] {
  const own = layers.map((text) => numbers(text, "x", 3));
  const built = models.flatMap((name) => {
    const model = MODELS[name];
    if (!model)
      throw new Error(`tune: no model ${name}. There are ${Object.keys(MODELS).join(", ")}; or give --layer.`);
    const { width, inner } = model;
    return (tokens.length ? tokens : [model.tokens]).flatMap((t) => [
      [t, width, width],
      [t, width, inner],
      [t, inner, width],
    ]);
  });
  const shapes = (own.length ? own : built).flatMap(([t, from, to]) => layer(t!, from!, to!));
  const unique = new Map(shapes.map((s) => [`${s.M} ${s.N} ${s.K}`, s])); // one choice serves whatever is transposed
  return [...unique.values()];
}

function numbers(text: string, separator: string, count?: number): number[] {
  const list = text.split(separator).map(Number);
  if (list.every((n) => Number.isInteger(n) && n > 0) && (count ?? list.length) === list.length) return list;
  throw new Error(`tune: ${text} is not ${count ?? "a list of"} whole numbers with ${separator} between them.`);
}

/** What the command line asks for; nothing if that is help. */
function asked(): { shapes: Shape[]; f16: boolean; keep: boolean } | undefined {
  const { values } = parseArgs({
    options: {
      model: { type: "string", multiple: true },
      tokens: { type: "string" },
      layer: { type: "string", multiple: true },
      f16: { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
      help: { type: "boolean" },
    },
  });
  if (values.help) return void console.log(USAGE);
  const tokens = values.tokens ? numbers(values.tokens, ",") : [];
  const shapes = shapesOf(values.model ?? Object.keys(MODELS), tokens, values.layer ?? []);
  return { shapes, f16: values.f16, keep: !values["dry-run"] };
}

async function tune({ shapes, f16, keep }: { shapes: Shape[]; f16: boolean; keep: boolean }): Promise<void> {
  const { adapter, tuning } = await init();
  console.log(`${adapter.description}: ${shapes.length} shapes`);
  const choices = Object.fromEntries(tuning); // what was measured before stays
  for (const precision of f16 ? (["f32", "f16"] as const) : (["f32"] as const)) {
    for (const shape of shapes) {
      const { key, usual, times, wrong } = await tuneShape(shape, precision);
      const best = times[0];
      if (!best) throw new Error(`tune: no kernel computes ${key} rightly on this adapter: ${wrong.join(", ")}.`);
      choices[key] = best.choice;
      const all = times.map(({ choice, ms }) => `${choice} ${ms.toPrecision(3)}`).join(", ");
      const gflops = (2 * shape.M * shape.N * shape.K) / best.ms / 1e6;
      console.log(`${key}: ${best.choice}, ${gflops.toFixed(0)} GFLOP/s (ms: ${all}; without tuning ${usual})`);
      for (const choice of wrong) console.log(`  ${choice} computes wrongly here: left out`);
    }
  }
  if (keep) {
    const file = await writeTuning({ version: TUNING_VERSION, adapter: adapterKey(adapter), choices });
    console.log(`Kept in ${file}. GPUGRAD_TUNING=off, or deleting it, undoes it.`);
  }
}

const fail = (exitCode: number) => (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = exitCode;
  return undefined;
};

let wanted: ReturnType<typeof asked>;
try {
  wanted = asked();
} catch (error) {
  fail(2)(error); // wrong usage
}
if (wanted) await tune(wanted).catch(fail(1)).finally(destroy);
