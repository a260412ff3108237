import { optionHint } from "@gpugrad/train";
import type { Command } from "commander";

/** Commander's message, with the option that is meant where one is unknown. */
export function withHint(message: string, command: Command): string {
  const [, name] = /^error: unknown option '(--[^'=]*)/.exec(message) ?? [];
  if (name === undefined) return message;
  const known = command.options.filter(({ hidden }) => !hidden).map(({ long }) => long!);
  return `${message.trimEnd()}.${optionHint(name, known)}\n`;
}
