import {
  argumentCheck,
  device,
  isOrigin,
  numerics,
  showShape,
  watchNumerics,
  type Inspected,
  type OpRun,
  type Shape,
  type Tensor,
} from "@gpugrad/tensor";

/** Where numbers stopped being finite: what {@link detectAnomaly} found. */
export interface Anomaly {
  /** A parameter that was bad before anything ran, or the first op that made something bad. */
  readonly kind: "parameter" | "op";
  /** The op, or the parameter's name. */
  readonly name: string;
  /** Which pass the op was part of. */
  readonly direction?: "forward" | "backward";
  /** Which part of the model it belongs to, judging by the parameters around it: `bert.encoder.layer.3.attention`. */
  readonly module?: string;
  /** The parameter whose gradient the op was making. */
  readonly parameter?: string;
  readonly shape: Shape;
  /** How many elements are NaN, and how many infinite. */
  readonly nan: number;
  readonly inf: number;
  /** What the op was given; of tensors saved for backward, what was saved. */
  readonly inputs: readonly Inspected[];
  readonly inputsFinite: boolean;
  /** All of it in words: `first bad op: exp in the forward pass, output [16,128,384] has 3 NaN, inputs finite`. */
  readonly message: string;
}

/** What {@link detectAnomaly} takes. */
export interface DetectAnomalyOptions {
  /** The model's parameters, or a model: bad ones are found before any op, and places are reported by their names. */
  parameters?: Iterable<readonly [name: string, parameter: Tensor]>;
}

const checkDetectAnomaly = argumentCheck("detectAnomaly", { work: "function", options: { parameters: "iterable?" } });

/**
 * Runs `work` (forward, backward, or both; asynchronous too) and says where numbers stopped being finite: the first parameter that is bad
 * from the start, else the first op that made a NaN or an infinity out of finite inputs. To find out why a loss is NaN, run the same
 * step again:
 *
 * ```ts
 * defaultGenerator.setState(stateBeforeTheStep); // the same dropout
 * const { firstBad } = await detectAnomaly(() => model.forward(batch).loss.backward(), { parameters: model.namedParameters() });
 * console.error(firstBad?.message);
 * ```
 * Gradients add up as usual. Nothing is read from the device before `work` has ended; each tensor costs one more dispatch. Infinities that
 * the caller passes in as numbers (`maskedFill(x, mask, -Infinity)`) count as wanted.
 * @throws what `work` throws
 * @see https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.detect_anomaly
 */
export async function detectAnomaly<T>(
  work: () => T | Promise<T>,
  options: DetectAnomalyOptions = {},
): Promise<{ result: T; firstBad: Anomaly | undefined }> {
  checkDetectAnomaly([work, options]);
  const { parameters = [] } = options;
  const names = new WeakMap<Tensor["storage"], string>();
  const runs: OpRun[] = [];
  const watch = watchNumerics(
    (found) => void runs.push(...found),
    (storage) => names.get(storage),
  );
  for (const [name, parameter] of parameters) {
    names.set(parameter.storage, name);
    watch.inspect("parameter", [], parameter);
  }
  const outer = { ...numerics };
  const inspect: typeof watch.inspect = (op, args, output, leaf) => {
    // A parameter that autocast or an op has cast stays that parameter.
    const name = op === "cast" ? names.get((args[0] as Tensor).storage) : undefined;
    if (name) names.set(output.storage, name);
    watch.inspect(op, args, output, leaf);
  };
  Object.assign(numerics, { enabled: true, inspect, report: () => Promise.resolve() });
  let result: T;
  try {
    result = await work();
  } catch (error) {
    watch.drop();
    throw error;
  } finally {
    Object.assign(numerics, outer);
  }
  await watch.finish();
  device().throwIfFailed();
  return { result, firstBad: firstBadOf(runs) };
}

const isFinite = ({ nan, inf }: Inspected): boolean => nan === 0 && inf === 0;
const isFloat = ({ dtype }: Inspected): boolean => dtype === "f32" || dtype === "f16" || dtype === "bf16";

function firstBadOf(all: readonly OpRun[]): Anomaly | undefined {
  const bad = all.filter(({ op, output }) => op === "parameter" && !isFinite(output));
  if (bad[0]) {
    const { name = "", shape, nan, inf } = bad[0].output;
    const more = bad.length > 1 ? `, and ${bad.length - 1} more` : "";
    const message = `bad parameter: ${name} ${showShape(shape)} has ${count(bad[0].output)} before any op ran${more}`;
    return { kind: "parameter", name, parameter: name, shape, nan, inf, inputs: [], inputsFinite: true, message };
  }
  const runs = all.filter(({ op }) => op !== "parameter");
  // Where nothing was made bad, something bad came in.
  const origin = runs.find(isOrigin) ?? runs.find(({ output }) => output.nan > 0) ?? runs.find(({ output: o, onPurpose }) => o.inf > 0 && !onPurpose); // prettier-ignore
  if (!origin) return undefined;
  const { output, direction, leaf } = origin;
  const name = origin.op.replace(/ backward.*$/, "");
  const inputs = origin.inputs.filter(isFloat);
  const badInputs = inputs.filter((input) => !isFinite(input));
  const module = moduleOf(runs, origin);
  const given = badInputs.map((x) => `${x.name ?? `${showShape(x.shape)} made by ${x.madeBy}`} has ${count(x)}`);
  const what = direction === "backward" ? (leaf ? `gradient of ${leaf}` : "gradient") : "output";
  const message =
    `first bad op: ${name} in the ${direction} pass${module ? ` (${module})` : ""}, ${what} ${showShape(output.shape)} has ` +
    `${count(output)}, inputs ${given.length > 0 ? `not finite: ${given.join("; ")}` : "finite"}`;
  return {
    kind: "op",
    name,
    direction,
    ...(module && { module }),
    ...(leaf && { parameter: leaf }),
    shape: output.shape,
    nan: output.nan,
    inf: output.inf,
    inputs: origin.inputs,
    inputsFinite: badInputs.length === 0,
    message,
  };
}

/** `3 NaN`, `1 infinite`, `3 NaN and 1 infinite`. */
function count({ nan, inf }: Inspected): string {
  return [nan > 0 && `${nan} NaN`, inf > 0 && `${inf} infinite`].filter(Boolean).join(" and ");
}

/** The part of the model whose parameters the op uses; else the part that has those used before and after it. */
function moduleOf(runs: readonly OpRun[], origin: OpRun): string {
  const namesOf = ({ inputs, leaf }: OpRun): string[] =>
    [...inputs.map(({ name }) => name), leaf].filter((name) => name !== undefined);
  const pathOf = (run: OpRun | undefined): string[] =>
    run
      ? namesOf(run)
          .map((name) => name.split(".").slice(0, -1))
          .reduce(common)
      : [];
  const uses = (run: OpRun): boolean => namesOf(run).length > 0;
  if (uses(origin)) return pathOf(origin).join(".");
  const at = runs.indexOf(origin);
  const [before, after] = [runs.slice(0, at).findLast(uses), runs.slice(at).find(uses)];
  if (before && after) return common(pathOf(before), pathOf(after)).join(".");
  const beside = pathOf(before ?? after).join(".");
  return beside && `${before ? "after" : "before"} ${beside}`;
}

/** The segments that both paths begin with. */
function common(a: readonly string[], b: readonly string[]): string[] {
  const end = a.findIndex((segment, i) => segment !== b[i]);
  return a.slice(0, end < 0 ? a.length : end);
}
