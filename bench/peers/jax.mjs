// jax-js (https://github.com/ekzhang/jax-js), compiled by its `jit`. An array given to a function is used up: `.ref` keeps it.
import { readFileSync } from "node:fs";

// jax-js uses iterator helpers, which Node has from 22 on.
const Iterator = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
const helpers = {
  *map(f) { let i = 0; for (const x of this) yield f(x, i++); },
  *filter(f) { let i = 0; for (const x of this) if (f(x, i++)) yield x; },
  toArray() { return [...this]; },
  some(f) { return [...this].some(f); },
  every(f) { return [...this].every(f); },
  find(f) { return [...this].find(f); },
  forEach(f) { [...this].forEach(f); },
  reduce(...args) { return [...this].reduce(...args); },
}; // prettier-ignore
for (const [name, value] of Object.entries(helpers)) {
  if (!Iterator[name]) Object.defineProperty(Iterator, name, { value, configurable: true, writable: true });
}

export async function open(backend) {
  const jax = await import("@jax-js/jax");
  const { numpy: np, nn, jit } = jax;
  await jax.init(backend);
  jax.defaultDevice(backend);
  const queue = backend === "webgpu" ? jax.getWebGPUDevice().queue : undefined;
  const array = ({ data, shape }) => np.array(data).reshape(shape);
  const done = async (results) => {
    await jax.blockUntilReady(results);
    await queue?.onSubmittedWorkDone();
  };

  /** A function of arrays with one result; `layout` brings inputs and result into the library's order, untimed. */
  const simple =
    (f, { before = (x) => x, after = (x) => x } = {}) =>
    async (inputs) => {
      const compiled = jit(f);
      const arrays = Object.values(inputs).map((input) => before(array(input)));
      await jax.blockUntilReady(arrays);
      const call = () => compiled(...arrays.map((a) => a.ref));
      return {
        async run() {
          const y = call();
          await done(y);
          y.dispose();
        },
        result: async () => ({ y: await after(call()).data() }),
      };
    };
  const layerNorm = (x, weight, bias) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias);
  const gelu = (x) => nn.gelu(x, { approximate: false });
  const swapped = (x) => np.transpose(x, [0, 2, 1, 3]); // heads and tokens

  const layer = (x, p) => {
    const linear = (x, w, b) => np.matmul(x, w).add(b);
    const [B, T, C] = x.shape;
    const heads = (y) => y.reshape([B, T, 4, C / 4]);
    const [q, k, v] = [linear(x.ref, p.wq, p.bq), linear(x.ref, p.wk, p.bk), linear(x.ref, p.wv, p.bv)].map(heads);
    const context = nn.dotProductAttention(q, k, v).reshape([B, T, C]);
    const h = layerNorm(linear(context, p.wo, p.bo).add(x), p.g1, p.b1);
    const inner = gelu(linear(h.ref, p.w1, p.c1));
    return layerNorm(linear(inner, p.w2, p.c2).add(h), p.g2, p.b2);
  };
  const uploaded = ({ x, w, ...rest }) => {
    const parameters = Object.entries(rest).map(([name, input]) => [name, array(input)]);
    const references = () => Object.fromEntries(parameters.map(([name, a]) => [name, a.ref]));
    return { x: array(x), w: array(w), references };
  };

  return {
    version: JSON.parse(readFileSync(new URL("node_modules/@jax-js/jax/package.json", import.meta.url))).version,
    prepare: {
      matmul: simple((a, b) => np.matmul(a, b)),
      softmax: simple((x) => nn.softmax(x, -1)),
      layernorm: simple(layerNorm),
      gelu: simple(gelu),
      attention: simple((q, k, v) => nn.dotProductAttention(q, k, v), { before: swapped, after: swapped }),
      conv2d: simple((x, weight) => jax.lax.conv(x, weight, [1, 1], "SAME")),
      einsum: simple((a, b) => np.einsum("bihd,bjhd->hbij", a, b)),
      encoder(inputs) {
        const { x, references } = uploaded(inputs);
        const compiled = jit(layer);
        const call = () => compiled(x.ref, references());
        return {
          async run() {
            const y = call();
            await done(y);
            y.dispose();
          },
          result: async () => ({ y: await call().data() }),
        };
      },
      encoderBackward(inputs) {
        const { x, w, references } = uploaded(inputs);
        const loss = (x, p, w) => layer(x, p).mul(w).sum();
        const compiled = jit(jax.valueAndGrad(loss, { argnums: [0, 1] }));
        const call = () => {
          const [value, [dx, gradients]] = compiled(x.ref, references(), w.ref);
          value.dispose();
          return { x: dx, ...gradients };
        };
        return {
          async run() {
            const gradients = Object.values(call());
            await done(gradients);
            for (const gradient of gradients) gradient.dispose();
          },
          async result() {
            const numbers = {};
            for (const [name, gradient] of Object.entries(call())) numbers[name] = await gradient.data();
            return numbers;
          },
        };
      },
    },
  };
}
