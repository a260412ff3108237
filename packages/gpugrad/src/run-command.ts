import { CommanderError, type Command } from "commander";

/**
 * Parses `args` and runs a command's action; the exit code is the action's, 2 for wrong usage, 0 after `--help`.
 * Options may be spelled as Hugging Face spells them: `--max_length` is `--max-length`.
 */
export async function runCommand<Options extends object>(
  command: Command,
  args: string[],
  action: (options: Options, operands: string[]) => Promise<number>,
): Promise<number> {
  const dashed = args.map((arg) => arg.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-")));
  try {
    command.exitOverride().parse(dashed, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return action(command.opts<Options>(), command.args);
}
