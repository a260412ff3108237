// The explorer's worker: a device of its own, so that nothing that is tried here is lost by the page, and the page stays awake meanwhile.
import { device, init } from "@gpugrad/tensor";
import { measure } from "../../../../bench/src/harness.ts";
import { measureLimits, withShares } from "../../../../bench/src/limits.ts";
import type { BenchCase } from "../../../../packages/tensor/src/testing/bench-op.ts";
import { CASES } from "./cases.ts";
import type { Answers, Ask, CompileError, Job, RungInfo, Source } from "./protocol.ts";
import { sourcesOf, withEdited } from "./trial.ts";

const caseOf = ({ op, pass, sizes }: Job): BenchCase => CASES[op][pass]!(sizes);

/** Samples of each rung, in ms: somebody is waiting. */
const BUDGET_MS = 150;

/** What is offered of an op that has no ladder. */
const AS_CHOSEN: NonNullable<BenchCase["rungs"]>[number] = {
  name: "as chosen",
  idea: "what the op takes on this adapter at these sizes",
};

/** The rungs, and the kernels that each dispatches. */
function describe(job: Job): RungInfo[] {
  const benchCase = caseOf(job);
  const ladder = benchCase.rungs?.length ? [...benchCase.rungs.entries()] : ([[undefined, AS_CHOSEN]] as const);
  return ladder.map(([rung, { name, idea, suits }]) =>
    suits && !suits()
      ? { rung, name, idea, missing: "not offered on this adapter, or not for these sizes", sources: [] }
      : { rung, name, idea, sources: sourcesOf(benchCase, rung) },
  );
}

/** What the compiler says of a source, without using it. */
async function compileErrors({ file, code }: Source): Promise<CompileError[]> {
  const { gpu } = device();
  gpu.pushErrorScope("validation");
  const module = gpu.createShaderModule({ label: file, code });
  const { messages } = await module.getCompilationInfo();
  await gpu.popErrorScope();
  const errors = messages.filter(({ type }) => type === "error").map(({ lineNum, message }) => ({ line: lineNum, text: message })); // prettier-ignore
  if (errors.length > 0) return errors;
  gpu.pushErrorScope("validation"); // what only shows with overrides in force: a workgroup that is too large, say
  gpu.createComputePipeline({ layout: "auto", compute: { module } });
  const error = await gpu.popErrorScope();
  return error ? [{ line: 0, text: error.message.split("\n")[0]! }] : [];
}

async function measureRung({
  job,
  rung,
  reach,
  edited,
}: Extract<Ask, { type: "measure" }>): Promise<Answers["measure"]> {
  const errors = edited ? await compileErrors(edited) : [];
  if (errors.length > 0) return { errors };
  const work = () => measure(job.op, caseOf(job), { ...reach, budget: BUDGET_MS }, [rung]);
  const [row] = await (edited ? withEdited(edited, work) : work());
  return { row: withShares(row!, reach), errors };
}

async function answer(ask: Ask): Promise<Answers[Ask["type"]]> {
  await init({ everyRung: true });
  switch (ask.type) {
    case "open": {
      const { description, cpu, workgroupBytes, workgroupInvocations, subgroupSize } = device().adapter;
      return { description, cpu, workgroupBytes, workgroupInvocations, subgroupSize };
    }
    case "describe":
      return describe(ask.job);
    case "limits": {
      const { f32, f16, bytes, cacheBytes, clock } = await measureLimits({ cpuCacheBytes: () => 8 * 2 ** 20 });
      return { f32, f16, bytes, cacheBytes, clock };
    }
    case "measure":
      return measureRung(ask);
  }
}

self.onmessage = ({ data: { id, ask } }: MessageEvent<{ id: number; ask: Ask }>) => {
  answer(ask).then(
    (result) => self.postMessage({ id, result }),
    (error: Error) => self.postMessage({ id, error: error.message }),
  );
};
