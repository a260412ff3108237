import { AutoTokenizer, truncationSides, type Folder, type Tokenizer, type TruncationSide } from "@gpugrad/bert";
import { Option } from "commander";

export interface TruncationOptions {
  truncation?: TruncationSide | undefined;
}

/** `--truncation`: which end of a text is cut off. */
export const truncationOption = (): Option =>
  new Option(
    "--truncation <side>",
    "the side on which texts that are too long are cut; head_tail keeps the first quarter of the tokens and the last three quarters " +
      "(default: as the tokenizer's files say, else right)",
  ).choices(truncationSides);

/** The tokenizer of a model, which cuts as asked; the files that training saves keep that. */
export async function openTokenizer(model: string | Folder, { truncation }: TruncationOptions): Promise<Tokenizer> {
  const tokenizer = await AutoTokenizer.fromPretrained(model);
  return truncation === undefined ? tokenizer : tokenizer.withTruncationSide(truncation);
}
