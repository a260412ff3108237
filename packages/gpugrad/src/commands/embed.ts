import { noGrad } from "@gpugrad/autograd";
import { AutoModel, AutoTokenizer } from "@gpugrad/bert";
import { destroy, fromArray, init, matmul, reshape, scope } from "@gpugrad/tensor";
import { Command } from "commander";
import { encodeTexts } from "../inputs.ts";
import { runCommand } from "../run-command.ts";
import { batchesOf, textsOf, wholeNumber } from "../texts.ts";

/** `gpugrad embed MODEL [text…]`: a vector of length 1 per text: the mean over its tokens, as sentence-transformers makes it. */
export function embed(args: string[]): Promise<number> {
  const command = new Command("gpugrad embed")
    .description("Sentence embeddings of texts: those given, or the lines of --file or standard input.")
    .argument("<model>", "a folder or a hub id")
    .argument("[texts...]")
    .option("--file <file>", "a text per line")
    .option("--batch-size <n>", "texts at a time", wholeNumber(1), 16)
    .option("--max-length <n>", "tokens per text; longer ones are cut", wholeNumber(1))
    .option("--json", 'a line {"embedding": […]} per text; otherwise the numbers, separated by tabs');
  return runCommand<{ file?: string; batchSize: number; maxLength?: number; json?: true }>(
    command,
    args,
    async (options, [id, ...operands]) => {
      await init();
      try {
        const tokenizer = await AutoTokenizer.fromPretrained(id!);
        const model = await AutoModel.fromPretrained(id!);
        const limit = Math.min(model.config.max_position_embeddings, tokenizer.modelMaxLength);
        const maxLength = Math.min(limit, options.maxLength ?? limit);
        for await (const texts of batchesOf(textsOf(operands, options.file), options.batchSize)) {
          const inputs = encodeTexts(tokenizer, texts, maxLength);
          const { read } = scope(() => {
            const { last_hidden_state } = noGrad(() => model.forward(inputs));
            const [B, T] = last_hidden_state.shape as [number, number];
            // Σ_t mask_t h_t as a product [B, 1, T] · [B, T, C]; its length is normalized away below, and with it the count.
            const { data } = inputs.attention_mask as { data: ArrayLike<number> };
            const mask = fromArray(Float32Array.from(data), [B, T]);
            return { read: matmul(reshape(mask, [B, 1, T]), last_hidden_state).data() };
          });
          const sums = await read;
          const width = model.config.hidden_size;
          for (const i of texts.keys()) {
            const sum = Array.from(sums.subarray(i * width, (i + 1) * width));
            const length = Math.hypot(...sum);
            const embedding = sum.map((v) => v / Math.max(length, 1e-12));
            process.stdout.write(options.json ? `${JSON.stringify({ embedding })}\n` : `${embedding.join("\t")}\n`);
          }
        }
        return 0;
      } finally {
        await destroy();
      }
    },
  );
}
