#!/usr/bin/env node
import { Command, CommanderError } from "commander";

const program = new Command("gpugrad")
  .description("Fine-tune and run BERT over WebGPU.")
  .enablePositionalOptions()
  .exitOverride();

/** Each command parses its own arguments, in a file of its own that is loaded only when it is called. */
function command(name: string, description: string, load: () => Promise<(args: string[]) => Promise<number>>): void {
  program
    .command(name)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument("[arguments...]")
    .action(async (args: string[]) => {
      const run = await load();
      process.exitCode = await run(args);
    });
}

command("doctor", "check Node, drivers and adapter; --fix fixes what is missing", async () => {
  return (await import("./commands/doctor.ts")).doctor;
});
command("train", "fine-tune a model on any dataset", async () => {
  return (await import("./commands/train.ts")).train;
});
command("launch", "train on several GPUs or machines: a command in several ranks, by mpirun", async () => {
  return (await import("./commands/launch.ts")).launch;
});
command("pretrain", "train a model from random weights, and its vocabulary", async () => {
  return (await import("./commands/pretrain.ts")).pretrain;
});
command("search-hyperparameters", "train with other options again and again: which are best?", async () => {
  return (await import("./commands/search-hyperparameters.ts")).searchHyperparameters;
});
command("merge", "write a model with an adapter's updates in its weights", async () => {
  return (await import("./commands/merge.ts")).merge;
});
command("distill", "teach a smaller model what a fine-tuned one has learned", async () => {
  return (await import("./commands/distill.ts")).distill;
});
command("predict", "label texts with a fine-tuned model", async () => {
  return (await import("./commands/predict.ts")).predict;
});
command("fill-mask", "the likeliest words for [MASK] in texts", async () => {
  return (await import("./commands/fill-mask.ts")).fillMask;
});
command("answer", "answer questions about a text", async () => {
  return (await import("./commands/answer.ts")).answer;
});
command("evaluate", "accuracy and a classification report on a dataset", async () => {
  return (await import("./commands/evaluate.ts")).evaluate;
});
command("serve", "answer over HTTP, many requests at a time", async () => {
  return (await import("./commands/serve.ts")).serve;
});
command("embed", "sentence embeddings of texts", async () => {
  return (await import("./commands/embed.ts")).embed;
});
command("search", "the texts of a file that are closest to a query", async () => {
  return (await import("./commands/search.ts")).search;
});
command("tokenize", "tokens of texts: ids, types, mask and offsets", async () => {
  return (await import("./commands/tokenize.ts")).tokenize;
});
command("profile", "where the time of a training step goes, kernel by kernel", async () => {
  return (await import("./commands/profile.ts")).profile;
});

command("plan", "what fine-tuning would take on a GPU that isn't here: time, memory, cost", async () => {
  return (await import("./commands/plan.ts")).plan;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const { writeError } = await import("./output.ts");
    writeError(`gpugrad: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

// What a signal has cut short, such as a download, doesn't keep the process.
if (Number(process.exitCode) > 128) setTimeout(() => process.kill(process.pid, "SIGKILL"), 3000).unref();
