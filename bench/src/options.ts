import { InvalidArgumentError } from "commander";

/** An option's text as a regular expression. @throws as commander reports wrong usage */
export function toRegExp(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
