/** Shapes by key: of a model's parameters, or of the tensors in a file. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Which tensor of a checkpoint goes where, and what does not fit. Lists are sorted. */
export interface LoadPlan {
  /** Model key → key in the file. A tied parameter comes once. */
  readonly assignments: ReadonlyMap<string, string>;
  /** Keys of the model that are missing from the file: these parameters are newly initialized. */
  readonly missing: string[];
  /** Keys of the file that the model has no place for, as the file spells them (`gamma` and `beta` renamed). */
  readonly unexpected: string[];
  /** Key, shape in the file, shape in the model. */
  readonly mismatched: [key: string, found: number[], expected: number[]][];
  /** Tied groups of which the file has no key at all. */
  readonly absentTied: string[][];
}

/** Buffers that older versions saved; they are ignored silently. */
const buffers = /(^|\.)embeddings\.(position_ids|token_type_ids)$/;

/**
 * Matches the tensors of a checkpoint with the parameters of a model, as `from_pretrained` of Transformers does:
 * `LayerNorm.gamma` and `beta` are `weight` and `bias`; a missing or superfluous prefix (`bert.`) is corrected.
 *
 * @param prefix Under which the family's models with a head hold their base model.
 * @param isBase Whether the model is the base model itself.
 * @param tied Groups of keys that are one parameter.
 * @param ignored Keys of the file that the model may lack without a report.
 */
export function planLoad({
  expected,
  found,
  prefix,
  isBase = false,
  tied = [],
  ignored,
}: {
  expected: Shapes;
  found: Shapes;
  prefix: string;
  isBase?: boolean;
  tied?: readonly (readonly string[])[];
  ignored?: RegExp | undefined;
}): LoadPlan {
  const modelKeyOf = (key: string): string | undefined => {
    const other = !isBase ? `${prefix}.${key}` : key.startsWith(`${prefix}.`) ? key.slice(prefix.length + 1) : key;
    return [key, other].find((candidate) => expected.has(candidate));
  };

  const fileKeys = new Map<string, string>(); // by model key
  const unexpected: string[] = [];
  for (const fileKey of found.keys()) {
    const key = fileKey.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    const modelKey = modelKeyOf(key);
    if (modelKey === undefined) {
      if (!buffers.test(key) && !ignored?.test(key)) unexpected.push(key);
    } else if (!fileKeys.has(modelKey) || key === modelKey) fileKeys.set(modelKey, fileKey);
  }

  const groupOf = new Map(tied.flatMap((group) => group.map((key) => [key, group] as const)));
  const assignments = new Map<string, string>();
  const missing: string[] = [];
  const mismatched: LoadPlan["mismatched"] = [];
  for (const [key, shape] of expected) {
    const group = groupOf.get(key) ?? [key];
    const source = group.find((k) => fileKeys.has(k));
    if (source === undefined) missing.push(key);
    else if (source === key) {
      const fileKey = fileKeys.get(key)!;
      const fileShape = found.get(fileKey)!;
      if (fileShape.join() === shape.join()) assignments.set(key, fileKey);
      else mismatched.push([key, [...fileShape], [...shape]]);
    }
  }
  return {
    assignments,
    missing: missing.sort(),
    unexpected: unexpected.sort(),
    mismatched: mismatched.sort(([a], [b]) => (a < b ? -1 : 1)),
    absentTied: tied.filter((group) => !group.some((k) => fileKeys.has(k))).map((group) => [...group]),
  };
}
