import {
  argumentCheck,
  Context,
  GpugradError,
  keep,
  showShape,
  type Backward,
  type Call,
  type GradNode,
  type Shape,
  Tensor,
} from "@gpugrad/tensor";

/** Where the gradient of an input goes: on to the step that made the input, or into the `.grad` of a leaf. */
export type Edge =
  { readonly node: Node; readonly leaf?: undefined } | { readonly leaf: Tensor; readonly node?: undefined };

/** Changes a gradient on its way, or only looks at it (then it returns nothing). */
export type GradientHook = (gradient: Tensor) => Tensor | undefined | void;

let nextId = 1;

/**
 * One step of the tape: the call of an op. Steps are numbered as they are recorded, so the numbers of a result's inputs are
 * always smaller than its own: counting down is an order in which backward can go.
 *
 * A step lives as long as something can still reach it: the tensor it made, a later step, or a backward under way. When nothing
 * can, the tensors it saved go back to the pool, without waiting for the garbage collector.
 */
export class Node implements GradNode {
  readonly id = nextId++;
  readonly op: string;
  readonly shape: Shape;
  /** Counts the changes in place of its result when it was made. */
  readonly version: number;
  /** Inputs by name; those that need no gradient are missing. */
  inputs: Record<string, Edge>;
  /** The names of all inputs: what backward may give a gradient for. */
  readonly inputNames: readonly string[];
  readonly backward: Backward;
  readonly hooks = new Set<GradientHook>();
  /** The saved values, with tensors of our own: the user's may be disposed meanwhile. Gone once used. */
  saved: { values: unknown; tensors: { tensor: Tensor; version: number }[] } | null;
  /** Leaves that this step adds gradients to. */
  readonly leaves: ReadonlySet<Tensor>;
  #references = 1;

  constructor({ op, inputs, output, saved, leaves = [] }: Call, backward: Backward) {
    for (const [name, input] of Object.entries(inputs)) if (input?.gradNode) refuseChanged(op, name, input);
    this.op = op;
    this.shape = output.shape;
    this.version = output.storage.version;
    this.backward = backward;
    this.inputs = {};
    this.inputNames = Object.keys(inputs);
    for (const [name, input] of Object.entries(inputs)) {
      if (!input?.requiresGrad) continue;
      const node = input.gradNode as Node | null;
      this.inputs[name] = node ? { node: node.retain() } : { leaf: input };
    }
    this.leaves = new Set([...Object.values(this.inputs).flatMap(({ leaf }) => leaf ?? []), ...leaves]);
    const tensors: { tensor: Tensor; version: number }[] = [];
    const values = mapTensors(saved, (original) => {
      const tensor = keep(original.alias());
      tensor.storage.saves++;
      tensors.push({ tensor, version: tensor.storage.version });
      return tensor;
    });
    this.saved = { values, tensors };
  }

  retain(): this {
    this.#references++;
    return this;
  }

  /** Releases one reference, and everything behind it that nothing else holds. A loop, not recursion: a tape may be long. */
  release(): void {
    const pending: Node[] = [this];
    for (let node = pending.pop(); node; node = pending.pop()) {
      if (--node.#references > 0) continue;
      for (const { node: input } of Object.values(node.inputs)) if (input) pending.push(input);
      node.inputs = {};
      node.forget();
    }
  }

  /** Disposes the saved tensors: after backward has used them, or once nothing can any more. */
  forget(): void {
    for (const { tensor } of this.saved?.tensors ?? []) {
      tensor.storage.saves--;
      tensor.dispose();
    }
    this.saved = null;
  }

  /** The saved values, if they are still there and still what they were. */
  savedValues(): never {
    if (!this.saved) {
      throw new GpugradError(
        `backward: the tape at ${this.op} (step ${this.id}) was used before, and what it saved is gone. ` +
          `Compute the loss again, or pass { retainGraph: true } to the first backward().`,
      );
    }
    for (const { tensor, version } of this.saved.tensors) {
      if (tensor.storage.version === version) continue;
      throw new GpugradError(
        `backward: ${this.op} (step ${this.id}) needs a tensor ${showShape(tensor.shape)} made by ${tensor.storage.op}, which was ` +
          `changed in place since (version ${tensor.storage.version}, saved at ${version}). Change it after backward(), or a copy of it.`,
      );
    }
    return this.saved.values as never;
  }
}

const noted = new Context<Set<Tensor>>();

/** Gives what unrecorded work gives, and the leaves that its calls would have added gradients to. */
export function withLeaves<T>(work: () => T): { result: T; leaves: Set<Tensor> } {
  const leaves = new Set<Tensor>();
  const result = noted.run(leaves, work);
  for (const leaf of leaves) noted.current?.add(leaf);
  return { result, leaves };
}

/** Notes the leaves of a call that isn't recorded, where {@link withLeaves} asks for them. */
export function noteLeaves({ inputs }: Call): void {
  const leaves = noted.current;
  if (!leaves) return;
  for (const input of Object.values(inputs)) if (input?.requiresGrad && !input.gradNode) leaves.add(input);
}

/** Throws when the result of a step was changed in place since: gradients would go back as if it had not been. */
export function refuseChanged(op: string, name: string, tensor: Tensor): void {
  const node = tensor.gradNode as Node;
  if (tensor.storage.version === node.version) return;
  throw new GpugradError(
    `${op}: ${name}, ${showShape(tensor.shape)} made by ${node.op} (step ${node.id}), was modified in place since ` +
      `(version ${tensor.storage.version}, made at ${node.version}): its gradient would be wrong. Change a clone() instead, or detach() it.`,
  );
}

/** `value` with every tensor in it replaced. Arrays and plain objects that hold one are copied on the way; all else stays the very same. */
function mapTensors(value: unknown, replace: (tensor: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return replace(value);
  if (Array.isArray(value)) {
    const mapped = value.map((entry) => mapTensors(entry, replace));
    return mapped.every((entry, i) => entry === value[i]) ? value : mapped;
  }
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const entries = Object.entries(value);
    const mapped = entries.map(([key, entry]) => [key, mapTensors(entry, replace)] as const);
    return mapped.every(([, entry], i) => entry === entries[i]![1]) ? value : Object.fromEntries(mapped);
  }
  return value;
}

/** The steps behind `result`, latest first: the order in which backward visits them. */
export function stepsBehind(result: Tensor): Node[] {
  const seen = new Set<Node>();
  const pending = result.gradNode ? [result.gradNode as Node] : [];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const { node: input } of Object.values(node.inputs)) if (input) pending.push(input);
  }
  return [...seen].sort((a, b) => b.id - a.id);
}

/** The tape behind a tensor, for readers. Take it before `backward()`, which uses it up. */
export interface Tape {
  /** The recorded steps, first to last. */
  readonly steps: readonly { id: number; op: string; shape: Shape; inputs: Record<string, number | Shape> }[];
  /** One line a step: number, op, shape, and where its inputs come from. */
  toString(): string;
  /** A graph in the language of Graphviz: `dot -Tsvg`. */
  toDot(): string;
  /** A graph for Markdown pages that draw Mermaid. */
  toMermaid(): string;
}

const checkTape = argumentCheck("tape", { result: "tensor", names: "iterable?" });

/**
 * The tape behind `result`: what backward would go through.
 * @param names names of leaves, such as the model's parameters, to show instead of their shapes
 */
export function tape(result: Tensor, names: ReadonlyMap<Tensor, string> = new Map()): Tape {
  checkTape([result, names]);
  const nodes = stepsBehind(result).reverse();
  const leaves = new Map<Tensor, string>();
  for (const { inputs } of nodes) {
    for (const { leaf } of Object.values(inputs)) {
      if (leaf && !leaves.has(leaf)) leaves.set(leaf, `leaf${leaves.size + 1}`);
    }
  }
  const label = (leaf: Tensor): string => names.get(leaf) ?? `leaf ${showShape(leaf.shape)}`;
  const idOf = (edge: Edge): string => (edge.node ? `step${edge.node.id}` : leaves.get(edge.leaf)!);
  const arrows = nodes.flatMap((n) =>
    Object.entries(n.inputs).map(([name, edge]) => ({ from: idOf(edge), to: `step${n.id}`, name })),
  );
  return {
    steps: nodes.map(({ id, op, shape, inputs }) => ({
      id,
      op,
      shape,
      inputs: Object.fromEntries(Object.entries(inputs).map(([k, e]) => [k, e.node ? e.node.id : e.leaf.shape])),
    })),
    toString: () =>
      nodes
        .map(({ id, op, shape, inputs }) => {
          const from = Object.entries(inputs).map(([k, e]) => `${k}: ${e.node ? `#${e.node.id}` : label(e.leaf)}`);
          return `#${id} ${op} ${showShape(shape)} ← ${from.join(", ")}`;
        })
        .join("\n"),
    toDot: () =>
      [
        "digraph tape {",
        "  rankdir=BT; node [shape=box, fontname=monospace];",
        ...[...leaves].map(([leaf, id]) => `  ${id} [label="${label(leaf)}", style=rounded];`),
        ...nodes.map((n) => `  step${n.id} [label="${n.op}\\n${showShape(n.shape)}"];`),
        ...arrows.map(({ from, to, name }) => `  ${from} -> ${to} [label="${name}"];`),
        "}",
      ].join("\n"),
    toMermaid: () =>
      [
        "graph BT",
        ...[...leaves].map(([leaf, id]) => `  ${id}(["${label(leaf)}"])`),
        ...nodes.map((n) => `  step${n.id}["${n.op}<br/>${showShape(n.shape)}"]`),
        ...arrows.map(({ from, to, name }) => `  ${from} -- ${name} --> ${to}`),
      ].join("\n"),
  };
}
