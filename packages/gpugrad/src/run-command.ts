import { CommanderError, type Command } from "commander";
import { writeError } from "./output.ts";

/** Words of a command line with options as commander spells them: Hugging Face's `--max_length` is `--max-length`. */
export function dashed(words: readonly string[]): string[] {
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  return words.map((word, i) => (i < end ? word.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-")) : word));
}

/** Parses `args` and runs a command's action; the exit code is the action's, 2 for wrong usage, 0 after `--help`. */
export async function runCommand<Options extends object>(
  command: Command,
  args: string[],
  action: (options: Options, operands: string[]) => Promise<number>,
): Promise<number> {
  let [help, wrong] = ["", ""];
  command.showSuggestionAfterError(false).exitOverride();
  command.configureOutput({ writeOut: (text) => (help += text), outputError: (text) => (wrong += text) });
  try {
    command.parse(dashed(args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    await say(help, wrong, command).catch(() => {
      process.stdout.write(help);
      writeError(wrong);
    });
    return error.exitCode === 0 ? 0 : 2;
  }
  return action(command.opts<Options>(), command.args);
}

/** Says once, whatever the number of ranks, what a command takes and what is wrong. @throws without the other packages, which doctor has to work without */
async function say(help: string, wrong: string, command: Command): Promise<void> {
  const [{ withHint }, { sayOnce, speaks }] = await Promise.all([import("./hint.ts"), import("./ranks/say-once.ts")]);
  if (speaks()) process.stdout.write(help);
  if (wrong !== "") sayOnce(withHint(wrong, command));
}
