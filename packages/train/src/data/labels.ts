import { DataError } from "../errors.ts";
import { shownList, shownValue } from "./shown.ts";

/** What a dataset's `label` means. */
export type LabelInfo = {
  /** Classes, or 1 for a regression, or 0 where rows have no labels. */
  numLabels: number;
  /** Names of the classes by id, where they are known. */
  names?: readonly string[];
  /** Whether a row may have several classes: its `labels`. */
  multiLabel?: boolean;
};

/** Classes that labels may speak of where nothing names them; more are ids, prices or texts. */
const MAX_CLASSES = 10_000;

/** Up to this many classes, any share of them may be without rows. */
const FEW_CLASSES = 100;

/** Characters of the name of a class. */
const MAX_NAME = 1000;

const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+|inf|infinity)(e[+-]?\d+)?$/i;

/** What pandas reads as a value that is not there. @see https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html */
const MISSING = new Set([
  ...["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"],
  ...["NULL", "NaN", "None", "n/a", "nan", "null"],
]);

/** Numbers, also as BigInt, boolean or text; undefined for anything else. */
function asNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  if (typeof value !== "string" || value.length > MAX_NAME || !NUMERIC.test(value.trim())) return undefined;
  return Number(value.trim().replace(/inf(inity)?/i, "Infinity"));
}

/**
 * Classes that the ids speak of: one more than the largest and at least 2; 1 for fractions, 0 for none (-1: not labelled).
 * @throws {@link DataError} beginning with `what`, where ids are so large, or so few of them are used, that they can't be those of classes
 */
export function countLabels(values: readonly number[], what = "labels"): number {
  if (values.every((value) => value === -1)) return 0;
  if (values.some((value) => !Number.isInteger(value))) return 1;
  const largest = values.reduce((most, value) => Math.max(most, value), 1);
  const used = new Set(values.slice(0, largest > FEW_CLASSES ? undefined : 0)).size;
  if (largest >= MAX_CLASSES || (largest >= FEW_CLASSES && 4 * used < largest)) {
    throw new DataError(
      `${what}: whole numbers up to ${largest} (${used} different) are too large for class ids. Numbers to be predicted ` +
        "need --do_regression (numLabels: 1); classes need names, or consecutive ids that start at 0.",
    );
  }
  return largest + 1;
}

/** What is known of labels before they are read. */
export type KnownLabels = {
  /** The classes by id. */
  names?: readonly string[] | undefined;
  /** How many classes there are; 1: labels are numbers. */
  numLabels?: number | undefined;
  /** The classes behind the ids of this file, as it says itself. */
  fileNames?: readonly string[] | undefined;
  /** The classes of a model by id: the order of the classes where they are the same. */
  modelNames?: readonly string[] | undefined;
};

/** `names` in the order of `wanted`, where they are the same. */
function inOrderOf(wanted: readonly string[] | undefined, names: readonly string[]): readonly string[] {
  const known = new Set(names);
  return wanted?.length === names.length &&
    new Set(wanted).size === known.size &&
    wanted.every((name) => known.has(name))
    ? wanted
    : names;
}

/** How the values of a column become labels: class ids as they are, names looked up, or plain numbers. */
export type LabelReader = LabelInfo & {
  /** The label that a value means, or what is wrong with it. */
  read: (value: unknown) => number | string;
};

/** The different labels of a column, collected row by row in bounded memory. */
export class LabelValues {
  readonly #what: string;
  readonly #known: KnownLabels;
  /** The classes by id, where they are known beforehand. */
  readonly #names: readonly string[] | undefined;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #codes = new Map<unknown, number>();
  #rows = 0;
  #texts = 0;
  /** Whether a row has a list of labels; undefined before the first row. */
  #lists: boolean | undefined;

  /** @param what what messages begin with: file and column. */
  constructor(what: string, known: KnownLabels) {
    const { names, numLabels, fileNames, modelNames } = known;
    this.#what = what;
    this.#known = known;
    this.#names = numLabels === 1 ? undefined : (names ?? (fileNames && inOrderOf(modelNames, fileNames)));
    this.#ids = new Map(this.#names?.map((name, id) => [name, id]));
  }

  /**
   * The number of a row's label among the different ones, or what is wrong with it.
   * @throws {@link DataError} when there are too many for classes
   */
  add(value: unknown): number | string {
    const known = this.#codes.get(value);
    if (known !== undefined) {
      this.#rows++;
      return known;
    }
    const number = asNumber(value);
    const problem = this.#problemOf(value, number);
    if (problem !== undefined) return problem;
    this.#rows++;
    if (number === undefined || (typeof value === "string" && this.#ids.has(value.trim()))) this.#texts++;
    const isFull = this.#codes.size >= MAX_CLASSES;
    if (isFull && this.#texts > 0) this.#refuse();
    const key = isFull ? number : value; // of very many numbers, none is a name
    const code = this.#codes.get(key) ?? this.#codes.size;
    this.#codes.set(key, code);
    return code;
  }

  /**
   * The numbers of a row's labels, where it has a list of them, among the different ones; or what is wrong with one of them.
   * @throws as {@link add}
   */
  addRow(value: unknown): number[] | number | string {
    const isList = Array.isArray(value);
    if (isList && this.#known.numLabels === 1) return "a label is a list, not a number";
    if ((this.#lists ??= isList) !== isList)
      return isList ? "a label is a list, though others are not" : "a label is not a list, though others are";
    if (!isList) return this.add(value);
    const codes = value.map((one) => this.add(one));
    return codes.find((code) => typeof code === "string") ?? (codes as number[]);
  }

  #problemOf(value: unknown, number: number | undefined): string | undefined {
    if (value === null || value === undefined || Number.isNaN(number)) return "no label";
    if (Array.isArray(value)) return "a label is a list within a list";
    if (typeof value === "object") return "a label is an object, not a text or a number";
    if (typeof value !== "string") return undefined;
    if (value.length > MAX_NAME) return `a label has more than ${MAX_NAME} characters`;
    const text = value.trim();
    if (this.#ids.has(text)) return undefined;
    if (MISSING.has(text) && !this.#known.modelNames?.includes(text)) return "no label";
    if (number !== undefined) return undefined;
    if (this.#names) return `a label is none of [${shownList(this.#names)}]`;
    return this.#known.numLabels === 1 ? "a label is not a number" : undefined;
  }

  #refuse(): never {
    throw new DataError(
      `${this.#what}: ${this.#codes.size} and more different labels in ${this.#rows} rows, too many for classes, such as ` +
        `${shownList(this.values.slice(0, 3).map(shownValue))}. Name the column of labels with --label_column (labelColumn).`,
    );
  }

  /** The different labels, in the order of their numbers. */
  get values(): unknown[] {
    return [...this.#codes.keys()];
  }

  /** What the labels mean; where names are not known, text gives them, in sorted order. */
  reader(): LabelReader {
    const reader = this.#texts > 0 ? this.#namedReader() : this.#numberReader();
    return this.#lists ? { ...reader, multiLabel: true } : reader;
  }

  #numberReader(): LabelReader {
    const numbers = this.values.map((value) => asNumber(value)!);
    const finite = numbers.filter(Number.isFinite);
    const names = this.#names;
    const { numLabels: known, fileNames } = this.#known;
    const isUnlabelled = finite.length > 0 && finite.every((number) => number === -1);
    const numLabels = isUnlabelled ? 0 : (known ?? names?.length ?? countLabels(finite, this.#what));
    // The file's ids are those of its own names, which may be in another order.
    const isReordered = names && fileNames && inOrderOf(names, fileNames) === names;
    const ids = isReordered ? fileNames.map((name) => this.#ids.get(name)!) : undefined;
    return {
      numLabels,
      ...(names ? { names } : {}),
      read: (value) => {
        const number = asNumber(value)!;
        if (!Number.isFinite(number)) return "a label is not a finite number";
        const isRight = numLabels < 2 || (Number.isInteger(number) && number >= 0 && number < numLabels);
        return isRight ? (ids?.[number] ?? number) : `a class id is not within 0 to ${numLabels - 1}`;
      },
    };
  }

  #namedReader(): LabelReader {
    const texts = this.values.flatMap((value) => (typeof value === "string" ? [value.trim()] : []));
    const sorted = [...new Set(texts)].sort((a, b) => (a < b ? -1 : 1));
    if (!this.#names && sorted.length > FEW_CLASSES && 2 * sorted.length > this.#rows) this.#refuse();
    const names = this.#names ?? inOrderOf(this.#known.modelNames, sorted);
    const ids = new Map(names.map((name, id) => [name, id]));
    const list = `[${shownList(names)}]`;
    return {
      numLabels: names.length,
      names,
      read: (value) => {
        if (typeof value !== "string") return "a label is not a text, though others are";
        return ids.get(value.trim()) ?? `a label is none of ${list}`;
      },
    };
  }
}
