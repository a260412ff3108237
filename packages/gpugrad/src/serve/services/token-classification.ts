import type { Heads } from "@gpugrad/bert";
import { AGGREGATION_STRATEGIES, entitiesInText } from "@gpugrad/train";
import { tokenClassification as task, tokenWindow } from "../../text/entity-output.ts";
import { windowEncoding } from "../../text/windows.ts";
import { invalid, readBody, readChoice, readCount, readList, readParameters, readText, readTexts } from "../request.ts";
import { classesOf, type Service } from "../service.ts";

/**
 * The entities in texts: `{"inputs": "…", "parameters": {"aggregation_strategy", "ignore_labels", "stride"}}`. With `stride`, long texts have windows
 * that overlap by so many tokens; without it they are cut.
 * @see https://huggingface.co/docs/inference-providers/tasks/token-classification
 */
export const tokenClassification: Service<Heads["tokenClassification"]> = {
  name: "token-classification",
  task,
  modelType: ({ config }) => ({ "token-classification": classesOf(config) }),
  routes({ model, maxTexts, compute }) {
    const { config, tokenizer, maxLength } = model;
    const room = maxLength - tokenizer.encode("").length;
    return {
      "/": async (body, gone) => {
        const { inputs, parameters } = readBody(body);
        const { items: texts, isList } = readList(inputs, maxTexts, readText);
        const given = readParameters(parameters, ["aggregation_strategy", "ignore_labels", "stride"]);
        const strategy = readChoice(given["aggregation_strategy"], "parameters.aggregation_strategy", AGGREGATION_STRATEGIES); // prettier-ignore
        const ignored = readTexts(given["ignore_labels"], "parameters.ignore_labels");
        const stride =
          readCount(given["stride"], "parameters.stride", 0, "long texts are cut") ?? model.windows?.stride;
        if (stride !== undefined && stride > room / 2)
          throw invalid(`parameters.stride is ${stride}. It has to be at most ${Math.floor(room / 2)}, half of a window.`); // prettier-ignore
        const windows = stride === undefined ? {} : windowEncoding({ stride });
        const encode = () => model.encodings(texts.map((text) => ({ text })), windows); // prettier-ignore
        const { encoded, values } = await compute(texts.length, encode, gone);
        const found = texts.map((text, t) => {
          const own = encoded.flatMap((encoding, i) =>
            encoding.sample === t ? [tokenWindow(encoding, values[i]!, config.num_labels)] : [],
          );
          return entitiesInText(text, own, config.id2label, tokenizer, strategy, ignored);
        });
        return isList ? found : found[0];
      },
    };
  },
};
