/** Trains the playground's default run here, and keeps what it says for pages without WebGPU and for the landing page:
 * `node scripts/run.mjs apps/web/scripts/record-run.ts && npx prettier --write apps/web/.vitepress/theme/hero.json`. */
import { writeFileSync } from "node:fs";
import { destroy, init } from "@gpugrad/tensor";
import { freshRecord, type PlayEvent } from "../src/play/events.ts";
import { Job } from "../src/play/job.ts";
import { DEFAULTS } from "../src/play/settings.ts";

/** Updates between those that are kept. */
const EVERY = 3;

const { adapter } = await init();
const events: PlayEvent[] = [];
const record = { ...freshRecord("recorded", { ...DEFAULTS, look_steps: 50 }), startedAt: 0 };
const job = await Job.open(record, {
  device: adapter.description,
  emit: (event) => {
    const isKept = event.type === "step" ? event.step.step % EVERY === 0 : !["note", "saved"].includes(event.type);
    if (isKept) events.push(JSON.parse(shortened(event)) as PlayEvent);
    if (event.type === "evaluation") console.log(event.evaluation.step, event.evaluation.metrics["eval_accuracy"]);
  },
});
await job.run();
writeFileSync(
  new URL("../src/play/recorded.jsonl", import.meta.url),
  events.map((event) => `${shortened(event)}\n`).join(""),
);

/** A head whose lines say something at a glance, for the landing page. */
const HEAD = 4;
const { tokens, attributions, attentions } = record.last!;
const T = tokens.length;
const attention = tokens.map((_, q) => Array.from(attentions).slice((HEAD * T + q) * T, (HEAD * T + q + 1) * T));
writeFileSync(
  new URL("../.vitepress/theme/hero.json", import.meta.url),
  JSON.stringify({ tokens, attributions, attention }, (_, value: unknown) =>
    typeof value === "number" ? Number(value.toFixed(3)) : value,
  ),
);
await destroy();

/** As JSON, with as many digits as a page shows. */
function shortened(event: PlayEvent): string {
  return JSON.stringify(event, (name, value: unknown) => {
    if (name === "attentions") return Array.from(value as number[], (weight) => Number(weight.toFixed(2)));
    return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  });
}
