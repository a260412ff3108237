import { DataError } from "../errors.ts";
import { countLabels, type LabelInfo } from "./labels.ts";

/** One example: a text or a pair of texts, and what is to be learned of it. */
export type Row = {
  text: string;
  text_pair?: string;
  /** A class id, or a number where the task is a regression. */
  label?: number;
  /** The ids of its classes, where a row may have several. */
  labels?: readonly number[];
  /** What only a task knows: the tags of words, answers, choices. */
  readonly [column: string]: unknown;
};

/** Rows that were left out since they were malformed. */
export type BadRows = {
  count: number;
  /** What was wrong with the first of them: file, line and reason. */
  first: readonly string[];
};

type Source = {
  name: string;
  length: number;
  labels: LabelInfo;
  row: (i: number) => Promise<Row>;
  where?: (i: number) => string;
  /** The label of row `i`, where it is known without reading the row. */
  label?: (i: number) => number | undefined;
  /** Rows with one number are read together. */
  blockOf?: (i: number) => number;
  badRows?: BadRows;
  changes?: readonly string[];
};

/**
 * Rows that are read when they are asked for.
 *
 * @example
 * const train = await loadDataset("stanfordnlp/imdb", { split: "train" });
 * const { text, label } = await train.row(0);
 */
export class Dataset {
  readonly name: string;
  readonly length: number;
  readonly labels: LabelInfo;
  /** Rows of the files that are not here, with `onBadRow: "skip"`. */
  readonly badRows: BadRows;
  /** What was done to the rows, by name: a model card lists it. */
  readonly changes: readonly string[];
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
    this.name = source.name;
    this.length = source.length;
    this.labels = source.labels;
    this.badRows = source.badRows ?? { count: 0, first: [] };
    this.changes = source.changes ?? [];
  }

  /** Rows in memory as a dataset; without `labelNames`, classes are counted from the labels. */
  static fromRows(rows: readonly Row[], options: { name?: string; labelNames?: readonly string[] } = {}): Dataset {
    const { name = "rows", labelNames } = options;
    const multiLabel = rows.some((row) => row.labels !== undefined);
    const ids = rows.flatMap(({ label, labels = label === undefined ? [] : [label] }) => labels);
    const labels = {
      ...(labelNames ? { numLabels: labelNames.length, names: labelNames } : { numLabels: countLabels(ids, name) }),
      ...(multiLabel && { multiLabel }),
    };
    return new Dataset({ name, length: rows.length, labels, row: (i) => Promise.resolve(rows[i]!) });
  }

  /** Names of classes as a model's configuration has them; undefined where they are not known. */
  get id2label(): Record<string, string> | undefined {
    return this.labels.names && Object.fromEntries(this.labels.names.map((name, id) => [String(id), name]));
  }

  /** Row `i`, from 0. @throws {@link DataError} when there is no such row or it is malformed, naming file and line. */
  async row(i: number): Promise<Row> {
    if (!Number.isInteger(i) || i < 0 || i >= this.length) {
      throw new DataError(`${this.name}: no row ${i}: it has ${this.length} rows.`);
    }
    return this.#source.row(i);
  }

  /** The label of row `i`; from files it is known without reading the row. */
  async label(i: number): Promise<number | undefined> {
    return this.#source.label ? this.#source.label(i) : (await this.row(i)).label;
  }

  /** The classes of row `i`: its one label, or all where a row may have several. */
  async labelsOf(i: number): Promise<readonly number[]> {
    if (this.labels.multiLabel) return (await this.row(i)).labels ?? [];
    const label = await this.label(i);
    return label === undefined ? [] : [label];
  }

  /** The block that row `i` belongs to: rows of one block lie together in their file, and are read together. */
  blockOf(i: number): number {
    return this.#source.blockOf?.(i) ?? i;
  }

  /** Where row `i` comes from: file and line. */
  where(i: number): string {
    return this.#source.where?.(i) ?? `${this.name}, row ${i}`;
  }

  /** The first `count` rows, or all where there are fewer. */
  take(count: number): Dataset {
    const length = Math.min(count, this.length);
    return new Dataset({ ...this.#source, length });
  }

  /** These rows, in this order. @throws {@link DataError} when there is no such row. */
  select(indices: ArrayLike<number>): Dataset {
    for (let k = 0; k < indices.length; k++) {
      const i = indices[k]!;
      if (Number.isInteger(i) && i >= 0 && i < this.length) continue;
      throw new DataError(`${this.name}: no row ${i}: it has ${this.length} rows.`);
    }
    const rows = new Int32Array(indices);
    const { label } = this.#source;
    return new Dataset({
      ...this.#source,
      length: rows.length,
      row: (i) => this.#source.row(rows[i]!),
      where: (i) => this.where(rows[i]!),
      blockOf: (i) => this.blockOf(rows[i]!),
      ...(label && { label: (i: number) => label(rows[i]!) }),
    });
  }

  /** Each row changed by `change` when it is read, as `--clean-html` does; a `name` for it is kept among {@link changes}. */
  map(change: (row: Row, i: number) => Row, name?: string): Dataset {
    const { label: _, ...source } = this.#source; // the change may be one of the label
    const changes = name === undefined ? this.changes : [...this.changes, name];
    return new Dataset({ ...source, changes, row: async (i) => change(await source.row(i), i) });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    for (let i = 0; i < this.length; i++) yield this.row(i);
  }
}
