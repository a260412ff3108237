import { expect, test } from "vitest";
import { optionHint } from "./nearest.ts";
import { INSTEAD, OTHER_NAMES } from "./option-names.ts";
import { TRAINING_ARGUMENTS, snakeCase } from "./training-arguments.ts";

const known = Object.keys(TRAINING_ARGUMENTS).map((name) => `--${snakeCase(name)}`);

test.each([
  ["lr", "learning_rate"],
  ["--epochs", "num_train_epochs"],
  ["batch-size", "per_device_train_batch_size"],
  ["warmup_ratio", "warmup_steps"],
  ["evaluation_strategy", "eval_strategy"],
  ["per_gpu_train_batch_size", "per_device_train_batch_size"],
  ["MAX_SEQ_LENGTH", "max_length"],
  ["learning_rat", "learning_rate"],
])("%s means %s", (given, meant) => {
  expect(optionHint(given, known)).toBe(` Did you mean --${meant}?`);
});

test("only names that there are are recommended, and advice where there is no such option", () => {
  expect(optionHint("batch_size", ["max_batch_size", "port"])).toBe(" Did you mean max_batch_size?");
  expect(optionHint("lr", ["port"])).toBe("");
  expect(optionHint("xyzzy", known)).toBe("");
  expect(optionHint("--no-cuda", known)).toMatch(/GPUGRAD_ADAPTER/);
});

test("the tables name what exists elsewhere only", () => {
  const names = Object.values(OTHER_NAMES).flat();
  const advised = INSTEAD.flatMap(([given]) => given);
  for (const name of [...names, ...advised]) {
    expect(name).toMatch(/^[a-z0-9_]+$/);
    const isOurs = name in OTHER_NAMES || known.includes(`--${name}`);
    // An option of one command may be what another calls otherwise.
    if (isOurs) expect(OTHER_NAMES[name] ?? [], name).not.toContain(name);
  }
  for (const name of advised) expect(names).not.toContain(name);
});
