/** Words by their UTF-16 units. Edges lie in one hash table: vocabularies have a million of them. */
export class Trie {
  readonly root = 0;
  #states = 1;
  #values = new Int32Array(1024).fill(-1);
  /** Of each edge: the state it leaves plus one (0: no edge), its unit, and the state it leads to. */
  #edges = new Int32Array(3 * 2048);
  #mask = 2047;

  add(word: string, value: number): void {
    let state = this.root;
    for (let i = 0; i < word.length; i++) {
      const unit = word.charCodeAt(i);
      let next = this.next(state, unit);
      if (next < 0) {
        next = this.#states++;
        if (2 * next > this.#mask) this.#grow();
        this.#insert(state, unit, next);
      }
      state = next;
    }
    this.#values[state] = value;
  }

  /** The state that follows, or −1. */
  next(state: number, unit: number): number {
    const at = this.#find(state, unit);
    return this.#edges[at] === 0 ? -1 : this.#edges[at + 2]!;
  }

  /** The value of the word that ends at a state, or −1. */
  valueOf(state: number): number {
    return this.#values[state]!;
  }

  /** The place of an edge in the table, or of where it would be. */
  #find(state: number, unit: number): number {
    const edges = this.#edges;
    let slot = Math.imul(Math.imul(state, 0x9e3779b1) ^ unit, 0x85ebca6b);
    for (slot = (slot ^ (slot >>> 15)) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 3 * slot;
      if (edges[at] === 0 || (edges[at] === state + 1 && edges[at + 1] === unit)) return at;
    }
  }

  #insert(state: number, unit: number, next: number): void {
    this.#edges.set([state + 1, unit, next], this.#find(state, unit));
  }

  #grow(): void {
    const old = this.#edges;
    this.#edges = new Int32Array(2 * old.length);
    this.#mask = 2 * this.#mask + 1;
    const values = new Int32Array(this.#mask + 1).fill(-1);
    values.set(this.#values.subarray(0, Math.min(this.#values.length, values.length)));
    this.#values = values;
    for (let at = 0; at < old.length; at += 3)
      if (old[at] !== 0) this.#insert(old[at]! - 1, old[at + 1]!, old[at + 2]!);
  }
}
