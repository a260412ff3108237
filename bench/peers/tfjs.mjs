// TensorFlow.js (https://github.com/tensorflow/tfjs). It has neither layer norm, GELU nor attention as one op: they are composed.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

export async function open(backend) {
  const require = createRequire(import.meta.url);
  const tf = require("@tensorflow/tfjs");
  if (backend === "webgpu") require("@tensorflow/tfjs-backend-webgpu");
  else {
    const folder = new URL("node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/", import.meta.url);
    require("@tensorflow/tfjs-backend-wasm").setWasmPaths(fileURLToPath(folder));
  }
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js does not open ${backend}`);
  await tf.ready();

  const tensor = ({ data, shape }) => tf.tensor(data, shape);
  /** Waits by reading one element: the library has no other way. */
  const done = async (results) => {
    const last = tf.tidy(() => tf.slice(tf.reshape(results.at(-1), [-1]), [0], [1]));
    await last.data();
    last.dispose();
  };
  const simple = (f) => (inputs) => {
    const tensors = Object.values(inputs).map(tensor);
    const call = () => tf.tidy(() => f(...tensors));
    return {
      async run() {
        const y = call();
        await done([y]);
        y.dispose();
      },
      result: async () => ({ y: await call().data() }),
    };
  };
  const gelu = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const layerNorm = (x, weight, bias) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
  };
  const attention = (q, k, v) => {
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape.at(-1)));
    return tf.matMul(tf.softmax(scores, -1), v);
  };
  const layer = (x3, p) => {
    const [B, T, C] = x3.shape;
    const x = tf.reshape(x3, [B * T, C]);
    const linear = (x, w, b) => tf.add(tf.matMul(x, w), b);
    const heads = (y) => tf.transpose(tf.reshape(y, [B, T, 4, C / 4]), [0, 2, 1, 3]);
    const [q, k, v] = [linear(x, p.wq, p.bq), linear(x, p.wk, p.bk), linear(x, p.wv, p.bv)].map(heads);
    const context = tf.reshape(tf.transpose(attention(q, k, v), [0, 2, 1, 3]), [B * T, C]);
    const h = layerNorm(tf.add(linear(context, p.wo, p.bo), x), p.g1, p.b1);
    const inner = gelu(linear(h, p.w1, p.c1));
    return tf.reshape(layerNorm(tf.add(linear(inner, p.w2, p.c2), h), p.g2, p.b2), [B, T, C]);
  };
  const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));

  return {
    version: tf.version.tfjs,
    prepare: {
      matmul: simple((a, b) => tf.matMul(a, b)),
      softmax: simple((x) => tf.softmax(x, -1)),
      layernorm: simple(layerNorm),
      gelu: simple(gelu),
      attention: simple(attention),
      // Images have their channels last here; input and result are brought into that order, untimed.
      conv2d({ x, weight }) {
        const image = tf.transpose(tensor(x), [0, 2, 3, 1]);
        const filter = tf.transpose(tensor(weight), [2, 3, 1, 0]);
        const call = () => tf.conv2d(image, filter, 1, "same");
        return {
          async run() {
            const y = call();
            await done([y]);
            y.dispose();
          },
          result: async () => ({ y: await tf.transpose(call(), [0, 3, 1, 2]).data() }),
        };
      },
      einsum: simple((a, b) => tf.einsum("bihd,bjhd->hbij", a, b)),
      encoder: (given) => {
        const inputs = { ...given };
        delete inputs.w; // only the backward has it
        const names = Object.keys(inputs).slice(1);
        return simple((x, ...parameters) => layer(x, named(names, parameters)))(inputs);
      },
      encoderBackward({ w, ...inputs }) {
        const names = Object.keys(inputs);
        const tensors = Object.values(inputs).map(tensor);
        const weights = tensor(w);
        const gradientsOf = tf.grads((x, ...parameters) =>
          tf.sum(tf.mul(layer(x, named(names.slice(1), parameters)), weights)),
        );
        const call = () => tf.tidy(() => gradientsOf(tensors));
        return {
          async run() {
            const gradients = call();
            await done(gradients);
            for (const gradient of gradients) gradient.dispose();
          },
          async result() {
            const gradients = call();
            return named(names, await Promise.all(gradients.map((gradient) => gradient.data())));
          },
        };
      },
    },
  };
}
