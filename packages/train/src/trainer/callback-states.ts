import type { TrainerCallback } from "./callbacks.ts";
import type { CallbackState, TrainerState } from "./trainer-state.ts";

/** The callbacks that keep something in checkpoints, by their class names. */
function byClass(callbacks: readonly TrainerCallback[]): Map<string, TrainerCallback[]> {
  const found = new Map<string, TrainerCallback[]>();
  for (const callback of callbacks) {
    if (!callback.state) continue;
    const { name } = callback.constructor;
    found.set(name, [...(found.get(name) ?? []), callback]);
  }
  return found;
}

/** What the callbacks keep: the state of one of a class, a list of those of several, as in Transformers. */
export function callbackStates(callbacks: readonly TrainerCallback[]): TrainerState["statefulCallbacks"] {
  const states = Array.from(byClass(callbacks), ([name, own]) => {
    const all = own.map((callback) => callback.state!());
    return [name, all.length === 1 ? all[0]! : all] as const;
  });
  return Object.fromEntries(states);
}

/** Gives each callback its own state back: the first of a class the first one that was kept, and so on. */
export function loadCallbackStates(
  callbacks: readonly TrainerCallback[],
  saved: TrainerState["statefulCallbacks"],
): void {
  for (const [name, own] of byClass(callbacks)) {
    const kept: readonly CallbackState[] = [saved[name] ?? []].flat();
    own.forEach((callback, i) => kept[i] && callback.loadState?.(kept[i]));
  }
}
