import { trainCommand } from "../train/train-command.ts";
import { searchCommand } from "../hyperparameters/search-command.ts";

/** `gpugrad search-hyperparameters`: trains with other options again and again, and says which were best. */
export function searchHyperparameters(args: string[]): Promise<number> {
  return searchCommand(args, trainCommand);
}
