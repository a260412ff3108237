// dk_j = Σ_i ds_ij q_i: who adds it up decides whether every run gives the same bits.

export type Owner = "keys" | "atomics" | "plain";

const f32 = Math.fround;

/** Numbers 0 … n − 1 in an order that the run decides. */
function shuffled(n: number, run: number): number[] {
  let state = (run + 1) * 2654435761;
  const random = (): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x85ebca6b) + 0x9e3779b9) >>> 0;
    return state / 2 ** 32;
  };
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * dk [keys] for ds [queries, keys] and one number q for each query, summed in f32 as a GPU would in this run. `keys`: an invocation per key adds up
 * its column, in order. `atomics`: an invocation per query adds to every key, in whatever order queries come. `plain`: the same without atomics,
 * so that of two that read the same sum one is lost.
 */
export function sumByOwner(
  ds: readonly (readonly number[])[],
  q: readonly number[],
  owner: Owner,
  run: number,
): number[] {
  const keys = ds[0]!.length;
  return Array.from({ length: keys }, (_, j) => {
    const order = owner === "keys" ? ds.map((_, i) => i) : shuffled(ds.length, run * keys + j);
    let sum = 0;
    for (let at = 0; at < order.length; at++) {
      const i = order[at]!;
      const term = f32(f32(ds[i]![j]!) * f32(q[i]!));
      const collides = owner === "plain" && at + 1 < order.length && (i + order[at + 1]! + run) % 3 === 0;
      if (collides) continue; // the next one has read the sum already, and overwrites what this one writes
      sum = f32(sum + term);
    }
    return sum;
  });
}

/** The bits of an f32, as eight hexadecimal digits. */
export function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0).toString(16).padStart(8, "0");
}
