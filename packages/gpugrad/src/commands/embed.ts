import {
  AutoModel,
  poolTokens,
  readSentenceSettings,
  sizesOf,
  type BaseModel,
  type SentenceSettings,
} from "@gpugrad/bert";
import { Command } from "commander";
import { refuseMissing } from "../text/missing-weights.ts";
import { textCommand } from "../text/text-command.ts";

/** A model with what its folder says about embeddings. */
interface Embedder {
  readonly config: BaseModel["config"];
  readonly model: BaseModel;
  readonly settings: SentenceSettings;
}

/** `gpugrad embed MODEL [text…]`: a vector per text, made as the folder's sentence-transformers files say; else the mean over its tokens, scaled to length 1. */
export function embed(args: string[]): Promise<number> {
  const command = new Command("gpugrad embed")
    .description(
      "Sentence embeddings of texts: those given, the rows of --file, or the lines of standard input. Pooling, prompt, layers and length are " +
        "those of the folder's sentence-transformers files (modules.json and what it names); without them it is the mean over the tokens, scaled to length 1. " +
        "A text with more tokens than --max-length, or than max_seq_length of sentence_bert_config.json, is cut there.",
    )
    .option("--json", 'a line {"embedding": […]} per text; otherwise the numbers, separated by tabs');
  let normalize = true;
  let promptLength = 0; // in tokens, [CLS] included
  return textCommand(command, args, {
    async open(folder, options): Promise<Embedder> {
      const model = refuseMissing(await AutoModel.fromPretrained(folder, { onReport: options.say }), options, {
        unused: /^pooler\./,
      });
      const settings = await readSentenceSettings(folder, sizesOf(model.config).hidden_size!);
      normalize = settings.normalize;
      return { config: model.config, model, settings };
    },
    texts({ settings: { prompt, lowerCase, maxLength } }, tokenizer) {
      const tokens = tokenizer.encode(prompt).input_ids;
      promptLength = prompt === "" ? 0 : tokens.length - (tokens.at(-1) === tokenizer.sepTokenId ? 1 : 0);
      return { maxLength, prepare: (text) => (lowerCase ? (prompt + text).toLowerCase() : prompt + text) };
    },
    compute({ model, settings }, inputs) {
      const mask = inputs["attention_mask"]?.data ?? inputs.input_ids.data.map(() => 1); // without padding there is none
      return poolTokens(model.forward(inputs).last_hidden_state, mask, settings, promptLength);
    },
    output: ({ json }: { json?: true }) => ({
      line(vector) {
        const length = normalize ? Math.max(Math.hypot(...vector), 1e-12) : 1;
        const embedding = Array.from(vector, (v) => v / length);
        return json ? JSON.stringify({ embedding }) : embedding.join("\t");
      },
      bad: (row) => (json ? JSON.stringify(row) : ""),
    }),
  });
}
