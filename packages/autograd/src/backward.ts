import {
  add,
  type BackwardOptions,
  checked,
  clone,
  numerics,
  GpugradError,
  hooks,
  keep,
  onesLike,
  provenance,
  sameShape,
  scope,
  showShape,
  showValue,
  Tensor,
} from "@gpugrad/tensor";
import { isRecording, noGrad } from "./no-grad.ts";
import { Node, noteLeaves, refuseChanged, stepsBehind, type GradientHook } from "./tape.ts";

const backwardTakes = {
  loss: "tensor",
  options: { gradient: "tensor?", retainGraph: "boolean?", onGradient: "function?" },
} as const;

const leafHooks = new WeakMap<Tensor, Set<GradientHook>>();

/**
 * Goes back through the tape of `loss` and adds d loss / d leaf to the `.grad` of every leaf that requires it. Only records work:
 * nothing waits for the device. What the tape saved is given back as it is used, unless `retainGraph`.
 *
 * @param options.gradient dy of `loss`, of its shape; 1 where `loss` is a single number
 * @param options.onGradient called with each leaf once its `.grad` is complete, while backward continues to the others: nothing changes it
 *   any more, so it may be sent elsewhere meanwhile. As PyTorch's `register_post_accumulate_grad_hook`
 * @throws when `loss` has no tape, is not a single number and no gradient is given, or its tape was used before
 */
export const backward = checked("backward", backwardTakes, (loss: Tensor, options: BackwardOptions = {}): void => {
  const { gradient, retainGraph = false, onGradient } = options;
  if (!loss.requiresGrad) {
    throw new GpugradError(
      `backward: ${loss.toString()} has no tape: it was made from no tensor with requiresGrad, under noGrad(), or by detach().`,
    );
  }
  if (!gradient && loss.size !== 1) {
    throw new GpugradError(
      `backward: the loss has shape ${showShape(loss.shape)}, not one element. Reduce it (mean, sum), or pass { gradient }.`,
    );
  }
  if (gradient && !sameShape(gradient.shape, loss.shape)) {
    throw new GpugradError(`backward: gradient ${showShape(gradient.shape)} for a tensor ${showShape(loss.shape)}.`);
  }
  if (loss.gradNode) refuseChanged("backward", "the loss", loss);
  const seed = keep(gradient ? gradient.alias() : onesLike(loss));
  if (!loss.gradNode) {
    addToLeaf(loss, seed);
    return onGradient?.(loss);
  }

  const steps = stepsBehind(loss);
  for (const step of steps) step.retain(); // until the end: consumers let go of them on the way
  const pending = new Map<Node, Tensor>([[loss.gradNode as Node, seed]]);
  const leaves = new Map<Tensor, Tensor>();
  const stepsTo = new Map<Tensor, number>(); // those that are left, by leaf
  for (const step of steps) for (const leaf of step.leaves) stepsTo.set(leaf, (stepsTo.get(leaf) ?? 0) + 1);
  const done = (leaf: Tensor): void => {
    const left = stepsTo.get(leaf)! - 1;
    stepsTo.set(leaf, left);
    if (left > 0) return;
    const gradient = leaves.get(leaf);
    leaves.delete(leaf);
    if (gradient) addToLeaf(leaf, gradient);
    if (leaf.grad) onGradient?.(leaf);
  };
  try {
    noGrad(() => {
      for (const step of steps) {
        const arrived = pending.get(step);
        // Without one, no gradient flows here: an op gave none for this input.
        if (arrived) {
          pending.delete(step);
          const dy = applyHooks(step.hooks, arrived);
          try {
            goBack(step, dy, pending, leaves);
          } finally {
            dy.dispose();
          }
          if (!retainGraph) step.forget();
        }
        for (const leaf of step.leaves) done(leaf);
      }
    });
  } finally {
    for (const left of [...pending.values(), ...leaves.values()]) left.dispose();
    for (const step of steps) step.release();
  }
});

/** One step: from dy to the gradients of its inputs, handed on to where those came from. */
function goBack(step: Node, dy: Tensor, pending: Map<Node, Tensor>, leaves: Map<Tensor, Tensor>): void {
  const needs = Object.fromEntries(Object.keys(step.inputs).map((name) => [name, true]));
  const saved = step.savedValues();
  const onto = numerics.enabled ? {} : arrivedAlone(step, pending, leaves);
  const gradients = named(`${step.op} backward`, () => scope(() => step.backward(saved, dy, needs, onto)));
  if (numerics.enabled) {
    for (const [name, gradient] of Object.entries(gradients)) {
      if (gradient) numerics.inspect(`${step.op} backward`, [dy, saved], gradient, step.inputs[name]?.leaf);
    }
  }
  const unknown = Object.keys(gradients).find((name) => gradients[name] && !step.inputNames.includes(name));
  const own = new Set<Tensor>(Object.values(onto));
  try {
    if (unknown !== undefined) {
      const names = step.inputNames.join(", ");
      throw new GpugradError(`${step.op} backward: it gives a gradient for ${unknown}; the inputs are ${names}.`);
    }
    for (const [name, edge] of Object.entries(step.inputs)) {
      const gradient = gradients[name];
      if (!gradient || gradient === onto[name]) continue; // what was added to is where it belongs
      const shape = edge.node ? edge.node.shape : edge.leaf.shape;
      if (!sameShape(gradient.shape, shape)) {
        throw new GpugradError(
          `${step.op} backward: d${name} is ${showShape(gradient.shape)}, but ${name} is ${showShape(shape)}.`,
        );
      }
      // An op may hand the same tensor to several inputs (a + b), or dy itself: each takes its own handle.
      const handle = keep(gradient === dy || own.has(gradient) ? gradient.alias() : gradient);
      own.add(handle);
      if (edge.node) collect(pending, edge.node, handle);
      else collect(leaves, edge.leaf, handle);
    }
  } finally {
    for (const gradient of Object.values(gradients)) {
      if (gradient && gradient !== dy && !own.has(gradient) && !gradient.disposed) gradient.dispose();
    }
  }
}

/** Gradients that have come to inputs of a step by other ways and that nothing else holds, by the inputs' names: they may be added to in place. */
function arrivedAlone(step: Node, pending: Map<Node, Tensor>, leaves: Map<Tensor, Tensor>): Record<string, Tensor> {
  const arrived = Object.entries(step.inputs).flatMap(([name, { node, leaf }]) => {
    const gradient = node ? pending.get(node) : leaves.get(leaf);
    return gradient && gradient.dtype === "f32" && !gradient.storage.shared ? [[name, gradient] as const] : [];
  });
  return Object.fromEntries(arrived);
}

/** Adds up what arrives at one place by several ways. Takes over `gradient`. */
function collect<Place>(gradients: Map<Place, Tensor>, place: Place, gradient: Tensor): void {
  const before = gradients.get(place);
  gradients.set(place, before ? sum(before, gradient) : gradient);
}

/** leaf.grad += gradient, or = where there was none. Takes over `gradient`. */
function addToLeaf(leaf: Tensor, gradient: Tensor): void {
  const hooked = applyHooks(leafHooks.get(leaf), gradient);
  if (leaf.grad) leaf.grad = sum(leaf.grad, hooked);
  else if (!hooked.storage.shared) leaf.grad = hooked;
  else {
    // Optimizers and clipping change gradients in place: each leaf needs memory of its own.
    leaf.grad = keep(clone(hooked));
    hooked.dispose();
  }
  leaf.grad.storage.owner = "gradients";
}

/** a + b, outside every scope. Disposes both; only b where the sum fails. */
function sum(a: Tensor, b: Tensor): Tensor {
  try {
    const total = keep(named("gradient sum", () => add(a, b)));
    a.dispose();
    return total;
  } finally {
    b.dispose();
  }
}

/** What the hooks make of a gradient. Takes it over, also when one of them throws. */
function applyHooks(hooks: Iterable<GradientHook> | undefined, gradient: Tensor): Tensor {
  let current = gradient;
  try {
    for (const hook of hooks ?? []) {
      gradient.storage.device.queue.refuseInRecording(
        "a gradient hook is called",
        "Take the hook off, or don't record (the Trainer's recordSteps: false).",
      );
      const changed: unknown = hook(current);
      if (changed === undefined || changed === null || changed === current) continue;
      if (!(changed instanceof Tensor) || !sameShape(changed.shape, current.shape)) {
        throw new GpugradError(
          `hook: a gradient ${showShape(current.shape)} came back as ${showValue(changed)}. Return a tensor of its shape, or nothing.`,
        );
      }
      const own = keep(changed.alias()); // what the hook returned stays the hook's
      current.dispose();
      current = own;
    }
    return current;
  } catch (error) {
    current[Symbol.dispose]();
    throw error;
  }
}

/** What is made during backward is named after the op it goes back through. */
function named<T>(name: string, work: () => T): T {
  const before = provenance.op;
  provenance.op = name;
  try {
    return work();
  } finally {
    provenance.op = before;
  }
}

const hookTakes = { tensor: "tensor", hook: "function" } as const;

/**
 * Calls `hook` with the gradient of `tensor` during backward; what it returns, if anything, replaces it. Returns a function
 * that takes the hook away again.
 * @throws when `tensor` does not require a gradient
 */
export const registerHook = checked("registerHook", hookTakes, (tensor: Tensor, hook: GradientHook): (() => void) => {
  if (!tensor.requiresGrad) throw new GpugradError(`registerHook: ${tensor.toString()} does not require a gradient.`);
  let hooksOf = tensor.gradNode ? (tensor.gradNode as Node).hooks : leafHooks.get(tensor);
  if (!hooksOf) leafHooks.set(tensor, (hooksOf = new Set()));
  hooksOf.add(hook);
  return () => void hooksOf.delete(hook);
});

/** Whether a hook is registered on a leaf. */
export const hasHooks = (leaf: Tensor): boolean => (leafHooks.get(leaf)?.size ?? 0) > 0;

/** Keeps the gradient of a tensor that an op made: it will be in its `.grad` after backward. */
export const retainGrad = checked("retainGrad", { tensor: "tensor" }, (tensor: Tensor): void => {
  registerHook(tensor, (gradient) => {
    tensor.grad?.dispose();
    tensor.grad = keep(clone(gradient));
  });
});

/** The gradient of `tensor`. @throws when there is none, with what may be the reason */
export function gradientOf(tensor: Tensor, name = "the tensor"): Tensor {
  if (tensor.grad) return tensor.grad;
  const reason = !tensor.requiresGrad
    ? "it does not require one: set requiresGrad before the forward pass"
    : tensor.gradNode
      ? "an op made it, and only leaves keep theirs: call retainGrad() before backward()"
      : "backward() was not called, or the loss does not depend on it";
  throw new GpugradError(`gradientOf: ${name} ${showShape(tensor.shape)} has no gradient: ${reason}.`);
}

/** Puts autograd in the place that the tensor package keeps for it: importing this package is enough. */
export function install(): void {
  hooks.recorder = {
    isRecording,
    record(call) {
      if (!isRecording()) return noteLeaves(call);
      if (typeof call.backward !== "function") {
        throw new GpugradError(
          `${call.op}: it has no gradient: ${call.backward.why}. Use detach() or noGrad() if none is wanted.`,
        );
      }
      call.output.requiresGrad = true;
      call.output.gradNode = new Node(call, call.backward);
    },
    backward,
  };
}
