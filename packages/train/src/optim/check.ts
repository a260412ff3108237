import { argumentCheck, checkOptions, didYouMean, GpugradError, Tensor, type Takes } from "@gpugrad/tensor";

/** Where a number may lie: from `from` (0) up to, and without, `below` (infinity). `count`: the length of a list. */
export interface Range {
  from?: number;
  below?: number;
  count?: number;
}

/** Throws unless each value is a number in its range. Options that were left out, and null, are accepted. */
export function checkRanges(owner: string, options: object, ranges: Readonly<Record<string, Range>>): void {
  const values = options as Readonly<Record<string, unknown>>;
  for (const [name, { from = 0, below = Infinity, count }] of Object.entries(ranges)) {
    const given = [values[name] ?? []].flat() as number[];
    if (values[name] !== undefined && count !== undefined && given.length !== count)
      throw new GpugradError(`${owner}: ${name} has ${given.length} of ${count} numbers.`);
    for (const value of given) {
      if (value >= from && value < below) continue;
      const range = `${from > -Infinity ? `at least ${from}` : "finite"}${below < Infinity ? ` and below ${below}` : ""}`;
      throw new GpugradError(`${owner}: ${name} is ${value}; it has to be ${range}.`);
    }
  }
}

/** What an optimizer takes beside its parameters: kinds by name, and ranges of the numbers. */
export interface OptionRules {
  takes: Takes;
  ranges: Readonly<Record<string, Range>>;
}

/** The defaults, with what is given in their place; undefined means the default. */
export function withDefaults<Options extends object>(defaults: Options, given: Partial<Options>): Options {
  if (typeof given !== "object" || given === null) return given; // refused by its check
  return { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

/** Throws at the first option that is unknown, of another kind or out of its range. */
export function checkRules(owner: string, options: unknown, { takes, ranges }: OptionRules): void {
  checkOptions(owner, options, { lr: "number?", lrScale: "number?", weightDecay: "number?", ...takes });
  checkRanges(owner, options ?? {}, { lr: {}, lrScale: {}, weightDecay: {}, ...ranges });
}

/** A list of names and parameters, as it was given. @throws when it is another list, or none */
export function checkedParameters(owner: string, params: unknown): (readonly [string, Tensor])[] {
  const hint = 'Give model.namedParameters(), or pairs of a name and a tensor: [["w", w]].';
  checkParameters(owner, params);
  return Array.from(params, (entry, i) => {
    if (Array.isArray(entry) && typeof entry[0] === "string" && entry[1] instanceof Tensor)
      return entry as unknown as readonly [string, Tensor];
    const what = entry instanceof Tensor ? "a tensor without a name" : "not a pair of a name and a tensor";
    throw new GpugradError(`${owner}: parameter ${i} is ${what}. ${hint}`);
  });
}

function checkParameters(owner: string, params: unknown): asserts params is Iterable<unknown> {
  if (params instanceof Tensor)
    throw new GpugradError(`${owner}: params is ${params.toString()}. Give it a name, in a list: [["w", w]].`);
  argumentCheck(owner, { params: "named tensors" })([params]);
}

/** Throws for a group that has more than parameters and options, as groups have in PyTorch. */
export function checkGroup(owner: string, group: object): void {
  const known = ["params", "options"];
  const unknown = Object.keys(group).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  const hint = didYouMean(unknown, known) || ` Write { params, options: { ${unknown}: … } }.`;
  throw new GpugradError(`${owner}: a group has ${unknown}; it takes params and options.${hint}`);
}
