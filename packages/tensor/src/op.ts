import { argumentCheck, type Takes } from "./arguments.ts";
import { blamed, check, GpugradError } from "./errors.ts";
import { hooks, type Backward, type NotDifferentiable } from "./recorder.ts";
import { scopeNow } from "./scope.ts";
import { provenance } from "./provenance.ts";
import { Tensor } from "./tensor.ts";
import { numerics } from "./debug.ts";
import { showValue } from "./values.ts";

type Inputs = Record<string, Tensor | undefined>;

/** What an op's forward gives back. */
export interface Computed<I extends Inputs, S, O extends Tensor | readonly Tensor[]> {
  /** The result. Of several, only the first is differentiated. */
  output: O;
  /**
   * The tensors that gradients may flow to, by name; `{}` for a result that is constant in all of them, like an index. Whole numbers may be
   * among them: none of those requires a gradient.
   */
  inputs: I;
  /** What backward needs: tensors, shapes, numbers. The tape holds on to the tensors, so save few. */
  saved: S;
}

/** An op: what it computes, and how gradients go back through it. */
export interface Definition<A extends readonly unknown[], I extends Inputs, S, O extends Tensor | readonly Tensor[]> {
  /** The kinds of its arguments and options, by name and in order: others are refused before forward runs. */
  takes?: Takes;
  /** Checks the arguments, allocates the output, runs kernels. Temporaries made here are disposed by themselves. */
  forward: (...args: A) => Computed<I, S, O>;
  /**
   * dx of each input of which `needs` is true, from the saved values and dy. Made of ops and kernels, like forward. `onto` has gradients that came to
   * an input by other ways, where there are some: a kernel that can may add dx to one, in place, and then dx is that very tensor.
   */
  backward:
    | ((
        saved: S,
        dy: Tensor,
        needs: { [K in keyof I]-?: boolean },
        onto?: { [K in keyof I]?: Tensor | undefined },
      ) => { [K in keyof I]?: Tensor | undefined })
    | NotDifferentiable;
}

/** An op as it is called, with its definition at hand for tests. */
export interface Op<A extends readonly unknown[], I extends Inputs, S, O extends Tensor | readonly Tensor[]> {
  (...args: A): O;
  readonly opName: string;
  readonly definition: Definition<A, I, S, O>;
}

/** The backward of an op that is differentiable, for ops that are made of others. */
export function backwardOf<A extends readonly unknown[], I extends Inputs, S, O extends Tensor | readonly Tensor[]>(
  op: Op<A, I, S, O>,
): Exclude<Definition<A, I, S, O>["backward"], NotDifferentiable> {
  const { backward } = op.definition;
  if (typeof backward !== "function") throw new GpugradError(`${op.opName} has no gradient: ${backward.why}`);
  return backward;
}

/** For an op without a gradient: recording it throws, with the reason. */
export const notDifferentiable = /* @__NO_SIDE_EFFECTS__ */ (why: string): NotDifferentiable => ({ why });

/**
 * Makes an op of its forward and backward. A call runs forward in a scope of its own, names what it makes after the op, and
 * informs the recorder, if autograd is there and an input requires a gradient.
 *
 * Sixteen-bit tensors are for storage: `defineOp` in `define-op.ts` widens them to f32 first. This is the layer below.
 */
/* @__NO_SIDE_EFFECTS__ */
export function defineStorageOp<
  A extends readonly unknown[],
  I extends Inputs,
  S,
  O extends Tensor | readonly Tensor[],
>(name: string, definition: Definition<A, I, S, O>): Op<A, I, S, O> {
  checkDefinition([name, definition]);
  check(
    typeof definition.backward === "function" || isWhy(definition.backward),
    () =>
      `defineOp: backward of ${name} is ${showValue(definition.backward)}; it is a function, or notDifferentiable("why").`,
  );
  const checkArguments = definition.takes && argumentCheck(name, definition.takes);
  const call = (...args: A): O => {
    checkArguments?.(args);
    return scopeNow(() => {
      const { output, inputs, saved } = inside(name, () => definition.forward(...args));
      const first = output instanceof Tensor ? output : output?.[0];
      check(
        first instanceof Tensor && inputs,
        () => `${name}: forward gives { output, inputs, saved }, and output is a tensor or a list of them.`,
      );
      if (depth === 0 && hooks.recorder && Object.values(inputs).some((input) => input?.requiresGrad)) {
        hooks.recorder.record({
          op: name,
          inputs,
          output: first,
          saved,
          backward: definition.backward as Backward | NotDifferentiable,
        });
      }
      if (depth === 0 && numerics.enabled) numerics.inspect(name, args, first);
      return output;
    });
  };
  return Object.assign(call, { opName: name, definition });
}

const isWhy = (backward: unknown): boolean => typeof backward === "object" && backward !== null && "why" in backward;

const checkDefinition = argumentCheck("defineOp", {
  name: "string",
  definition: { takes: "object?", forward: "function", backward: "any" },
});

/** How many forwards are running: an op called by another op's forward is a part of it, and not recorded. */
let depth = 0;

/** Runs a forward. What it makes is named after the outermost op. */
function inside<T>(name: string, forward: () => T): T {
  const outer = provenance.op;
  if (outer === "user") provenance.op = name;
  depth++;
  try {
    return forward();
  } catch (error) {
    throw outer === "user" ? blamed(name, error) : error;
  } finally {
    depth--;
    provenance.op = outer;
  }
}
