import type { Module } from "@gpugrad/bert";

/**
 * Runs `work` with every part of a model in training or evaluation mode, and gives each part its own mode back. The mode belongs to the
 * call: `work` is synchronous, so an evaluation between two updates, or beside another one, can't change it for other work.
 */
export function inMode<T>(model: Module, training: boolean, work: () => T): T {
  const others: Module[] = [];
  const visit = (module: Module): void => {
    if (module.training !== training) others.push(module);
    for (const [, child] of module.children()) visit(child);
  };
  visit(model);
  for (const module of others) module.training = training;
  try {
    return work();
  } finally {
    for (const module of others) module.training = !training;
  }
}
