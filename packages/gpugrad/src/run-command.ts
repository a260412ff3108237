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
  let unknown: string | undefined;
  command.showSuggestionAfterError(false).exitOverride();
  command.configureOutput({
    outputError: (text, write) => (text.includes("unknown option") ? (unknown = text) : write(text)),
  });
  try {
    command.parse(dashed(args), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (unknown !== undefined) {
      const { withHint } = await import("./hint.ts"); // only now: doctor has to work without the other packages
      writeError(withHint(unknown, command));
    }
    return error.exitCode === 0 ? 0 : 2;
  }
  return action(command.opts<Options>(), command.args);
}
