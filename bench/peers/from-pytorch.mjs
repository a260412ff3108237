// node bench/peers/from-pytorch.mjs, after `pnpm bench:peers` has installed the libraries here: runs the snippets of TensorFlow.js and jax-js in
// docs/from-pytorch.md's table of ops, on their CPU backends, and says what comes of them. jax-js's einsum takes Node 22.
import { readFileSync } from "node:fs";
import * as jax from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs";

const page = readFileSync(new URL("../../docs/from-pytorch.md", import.meta.url), "utf8");
const rows = page
  .split("## Ops")[1]
  .split("## ")[0]
  .split("\n")
  .filter((line) => /^\| (`|torch)/.test(line))
  .map((line) => line.slice(2, -2).split(" | "));

await tf.setBackend("cpu");
await jax.init("cpu");
jax.defaultDevice("cpu");
const { numpy: np, nn, lax, random } = jax;

const X = [[1, -2, 3], [0.5, 4, -1]]; // prettier-ignore

/** What snippets name. jax-js uses arrays up, so each snippet gets its own; images of TensorFlow.js have their channels last. */
const namesOf = {
  tf: () => ({
    tf,
    x: tf.tensor(X),
    y: tf.tensor(X),
    mask: tf.tensor(X).greater(0),
    ids: tf.tensor([[0, 2, 1], [1, 0, 2]], undefined, "int32"), // prettier-ignore
    places: tf.tensor([[0, 2], [1, 0]], undefined, "int32"), // prettier-ignore
    rows: tf.tensor([[1]], undefined, "int32"),
    v: tf.ones([1, 3]),
    image: tf.ones([1, 8, 8, 2]),
    w: tf.ones([3, 3, 2, 3]),
    oneHot: tf.tensor([[1, 0, 0], [0, 0, 1]]), // prettier-ignore
    logits: tf.zeros([2, 3]),
    lr: 0.1,
  }),
  jax: (code) => ({
    ...{ np, nn, lax, random, jax },
    x: np.array(X),
    y: code.includes("matmul") ? np.array([[1, 0], [0, 1], [1, 1]]) : np.array([0, 2], { dtype: np.int32 }), // prettier-ignore
    mask: np.array(X).greater(0),
    ids: np.array([[0, 2, 1], [1, 0, 2]], { dtype: np.int32 }), // prettier-ignore
    image: np.ones([1, 2, 8, 8]),
    w: np.ones([3, 2, 3, 3]),
    logits: np.zeros([2, 3]),
    key: random.key(1),
  }),
};
// A matrix that triangular solving takes.
const special = { triangularSolve: { x: () => np.array([[2, 0], [1, 1]]), y: () => np.array([[1, 2, 3], [0, 1, 0]]) } }; // prettier-ignore

let [ran, failed] = [0, 0];
for (const [of, column] of [
  ["tf", 1],
  ["jax", 2],
])
  // prettier-ignore
  for (const cells of rows)
    for (const [, code] of cells[column].matchAll(/`([^`]*\([^`]*)`/g)) {
      const names = namesOf[of](code);
      for (const [part, others] of Object.entries(special))
        if (code.includes(part)) for (const [name, make] of Object.entries(others)) names[name] = make();
      ran++;
      try {
        const made = await new Function(...Object.keys(names), `return (${code})`)(...Object.values(names));
        if (made === undefined) throw new Error("nothing came of it");
        const list = [made].flat();
        for (const one of list) await one.data?.();
        console.log(`ok    ${of}: ${code} → ${list.map((one) => (one.shape ? JSON.stringify(one.shape) : (one.constructor?.name ?? typeof one))).join(" ")}`); // prettier-ignore
      } catch (error) {
        failed++;
        console.log(`FAILS ${of}: ${code}: ${String(error).split("\n")[0]}`);
      }
    }
console.log(`${ran} snippets, ${failed} fail`);
process.exitCode = failed > 0 ? 1 : 0;
