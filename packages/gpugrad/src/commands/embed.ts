import { AutoModel } from "@gpugrad/bert";
import { fromArray, matmul, reshape } from "@gpugrad/tensor";
import { Command } from "commander";
import { refuseMissing } from "../missing-weights.ts";
import { textCommand } from "../text-command.ts";

/** `gpugrad embed MODEL [text…]`: a vector of length 1 per text: the mean over its tokens, as sentence-transformers makes it. */
export function embed(args: string[]): Promise<number> {
  const command = new Command("gpugrad embed")
    .description(
      "Sentence embeddings of texts: those given, the rows of --file, or the lines of standard input. A text with more tokens than " +
        "--max-length is cut there, without a word. (sentence-transformers cuts where sentence_bert_config.json says, " +
        "all-MiniLM-L6-v2 at 256.)",
    )
    .option("--json", 'a line {"embedding": […]} per text; otherwise the numbers, separated by tabs');
  return textCommand(command, args, {
    open: async (folder, options) =>
      refuseMissing(await AutoModel.fromPretrained(folder, { onReport: options.say }), options, {
        unused: /^pooler\./,
      }),
    compute: (model, inputs) => {
      const { last_hidden_state } = model.forward(inputs);
      const [B, T] = last_hidden_state.shape as [number, number];
      // Σ_t mask_t h_t as a product [B, 1, T] · [B, T, C]; its length is normalized away below, and with it the count.
      const { data } = inputs.attention_mask as { data: ArrayLike<number> };
      const mask = fromArray(Float32Array.from(data), [B, T]);
      return matmul(reshape(mask, [B, 1, T]), last_hidden_state);
    },
    output: ({ json }: { json?: true }) => ({
      line(sum) {
        const length = Math.hypot(...sum);
        const embedding = Array.from(sum, (v) => v / Math.max(length, 1e-12));
        return json ? JSON.stringify({ embedding }) : embedding.join("\t");
      },
      bad: (row) => (json ? JSON.stringify(row) : ""),
    }),
  });
}
