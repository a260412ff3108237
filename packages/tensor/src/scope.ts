import { argumentCheck, checked } from "./arguments.ts";
import { Context, type OpenContext } from "./context.ts";
import { check } from "./errors.ts";
import type { Tensor } from "./tensor.ts";
import { isTensor } from "./values.ts";

const scopes = new Context<Set<Tensor>>(endScope);
type Home = { [method in "add" | "delete"]: (tensor: Tensor) => unknown };

const home = new WeakMap<Tensor, Home>();

/** How many tensors, or bytes, a program may leave to the garbage collector before it is warned. */
const MANY = 1000;
const MUCH = 200e6;
const left = { count: 0, bytes: 0 };
const bytesOf = new WeakMap<Tensor, number>();
let warned = false;

/** Where there is no scope. It counts what is neither kept nor disposed, and holds nothing, so that the collector can find it. */
const outside: Home = {
  add(tensor: Tensor) {
    const bytes = tensor.storage.shared ? 0 : tensor.byteLength;
    bytesOf.set(tensor, bytes);
    left.bytes += bytes;
    if ((++left.count <= MANY && left.bytes <= MUCH) || warned) return;
    warned = true;
    const what = left.count > MANY ? `more than ${MANY} tensors` : `tensors of more than ${MUCH / 1e6} MB`;
    console.warn(
      `gpugrad: ${what} were made outside of any scope() and not disposed. Device memory then waits for the garbage ` +
        "collector, which doesn't see how much it is: put each step into a scope(), and keep() or dispose() what outlives it. " +
        "memory() shows which ops made what is alive; see docs/memory.md.",
    );
  },
  delete(tensor: Tensor) {
    left.count--;
    left.bytes -= bytesOf.get(tensor)!;
  },
};

function settle(tensor: Tensor, place: Home = outside): void {
  place.add(tensor);
  home.set(tensor, place);
}

/** A new tensor belongs to the innermost scope. */
export const enterScope = (tensor: Tensor): void => settle(tensor, scopes.current);

export function leaveScope(tensor: Tensor): void {
  home.get(tensor)?.delete(tensor);
  home.delete(tensor);
}

/**
 * Takes tensors out of every scope: they live until `dispose()`. For parameters, and results that outlive a step.
 * @param owner what it is kept for, as `memoryByOwner()` reports it: `"optimizer state"`
 */
export const keep = checked(
  "keep",
  { tensor: "tensor", owner: "string?" },
  <T extends Tensor>(tensor: T, owner?: string): T => {
    leaveScope(tensor);
    if (owner !== undefined) tensor.storage.owner = owner;
    return tensor;
  },
);

const checkScope = argumentCheck("scope", { work: "function" });
const checkRun = argumentCheck("Scope.run", { work: "function" });

/**
 * A scope that is held by hand, for works that overlap: see {@link scope}. What is made in {@link run} belongs to it, whatever else runs
 * meanwhile, and lives until it is disposed.
 */
export class Scope {
  readonly #context: OpenContext = scopes.open(new Set());

  /**
   * Runs `work`, and returns its result. What it makes up to its first `await` belongs to this scope: give each part between two awaits to
   * a `run` of its own.
   * @throws after the scope was disposed
   */
  run<T>(work: () => T): T {
    checkRun([work]);
    check(this.#context.isOpen, "Scope.run: the scope was disposed. Make another by scope().");
    return this.#context.run(work);
  }

  /** Disposes every tensor made in {@link run}, but those that were kept. */
  dispose(): void {
    if (this.#context.isOpen) this.#context.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Runs `work` and disposes every tensor made in it, but those it returns (in arrays and plain objects too), which move to the
 * scope around it, and those that were kept. Also when `work` throws. Asynchronous work may be scoped as well: what it awaits belongs to
 * it. Scopes that run at the same time have each their own tensors in Node, but not in a browser: await one before the next begins, or
 * hold a scope by hand.
 *
 * Without `work` it gives such a {@link Scope}:
 *
 * ```ts
 * button.onclick = async () => {
 *   using s = scope(); // disposed at the end of the block
 *   const y = s.run(() => model.forward(x).softmax());
 *   show(await y.data()); // a training loop may run meanwhile
 * };
 * ```
 */
export function scope(): Scope;
export function scope<T>(work: () => T): T;
export function scope<T>(...args: [work?: () => T]): T | Scope {
  if (args.length === 0) return new Scope();
  checkScope(args);
  return scopes.run(new Set(), args[0]!);
}

/** A {@link scope} for work that is not asynchronous: cheaper. */
export const scopeNow = <T>(work: () => T): T => scopes.runNow(new Set(), work);

const OVERLAP =
  " It was made while an asynchronous scope was open, and disposed when that scope ended. In a browser, works that run at the same time " +
  "take each other's tensors into their scopes: await one before the next begins, or hold a scope by hand: using s = scope(); s.run(…).";

/** The end of a scope: what it does not return is disposed, the rest moves to the scope around it. */
function endScope(scope: Set<Tensor>, outer: Set<Tensor> | undefined, asynchronous: boolean, result?: unknown): void {
  const kept = new Set<Tensor>();
  forEachTensor(result, (tensor) => kept.add(tensor));
  for (const tensor of scope) {
    home.delete(tensor);
    if (!kept.has(tensor)) {
      if (tensor.grad && kept.has(tensor.grad)) tensor.grad = null; // the gradient outlives its leaf
      tensor.dispose(asynchronous ? OVERLAP : "");
    } else settle(tensor, outer);
  }
}

/** Calls `visit` for each tensor in a value: the value itself, or inside arrays, maps and plain objects. */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (isTensor(value)) visit(value as Tensor);
  else if (Array.isArray(value)) for (const entry of value) forEachTensor(entry, visit);
  else if (value instanceof Map) for (const entry of value.values()) forEachTensor(entry, visit);
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const entry of Object.values(value)) forEachTensor(entry, visit);
  }
}
