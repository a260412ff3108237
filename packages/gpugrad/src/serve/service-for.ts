import { AutoConfig, openFolder, readText } from "@gpugrad/bert";
import { GpugradError } from "@gpugrad/tensor";
import type { AnyService } from "./service.ts";
import { embeddings } from "./services/embeddings.ts";
import { fillMask } from "./services/fill-mask.ts";
import { questionAnswering } from "./services/question-answering.ts";
import { textClassification } from "./services/text-classification.ts";
import { tokenClassification } from "./services/token-classification.ts";

const SERVICES: readonly AnyService[] = [textClassification, tokenClassification, questionAnswering, fillMask, embeddings()]; // prettier-ignore
export const SERVED_TASKS: readonly string[] = SERVICES.map(({ name }) => name);

/** All paths of POST; a model answers those of its task. */
export const ROUTES = ["/", "/predict", "/embed", "/embed_all", "/similarity", "/v1/embeddings"] as const;

/** The ends of the names of models that are for a task. */
const HEADS: Readonly<Record<string, string>> = {
  ForSequenceClassification: "text-classification",
  ForTokenClassification: "token-classification",
  ForQuestionAnswering: "question-answering",
  ForMaskedLM: "fill-mask",
  ForPreTraining: "fill-mask",
  Model: "sentence-embeddings",
};

/**
 * What a model's folder is served for: what is asked for, else sentence embeddings where sentence-transformers saved it, else what the head in
 * config.json (`architectures`) is for, else the classification of texts.
 * @throws for a head that isn't served
 */
export async function serviceFor(id: string, asked: string | undefined): Promise<AnyService> {
  return SERVICES.find(({ name }) => name === (asked ?? "")) ?? named(await taskOf(id));
}

const named = (task: string): AnyService => SERVICES.find(({ name }) => name === task)!;

async function taskOf(id: string): Promise<string> {
  const folder = await openFolder(id);
  if ((await readText(folder, "modules.json")) !== undefined) return "sentence-embeddings";
  const [architecture] = (await AutoConfig.fromPretrained(folder)).architectures ?? [];
  if (architecture === undefined) return "text-classification";
  const head = Object.keys(HEADS).find((end) => architecture.endsWith(end));
  if (head !== undefined) return HEADS[head]!;
  throw new GpugradError(`serve: ${id} is a ${architecture}, which is not served. --task names one of ${SERVED_TASKS.join(", ")}.`); // prettier-ignore
}
