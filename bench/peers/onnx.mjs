// The cases as ONNX models, and how a session of ONNX Runtime computes them. It has no gradients.
import { Buffer } from "node:buffer";

/** Protocol buffers' wire format: https://protobuf.dev/programming-guides/encoding/ */
function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
const whole = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const block = (field, content) => {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
};
const float = (field, value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), bytes]);
};

// Messages and their field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
const FLOAT = 1;
const INT64 = 7;

function attribute(name, value) {
  if (Array.isArray(value)) return Buffer.concat([block(1, name), ...value.map((v) => whole(8, v)), whole(20, 7)]);
  if (Number.isInteger(value)) return Buffer.concat([block(1, name), whole(3, value), whole(20, 2)]);
  return Buffer.concat([block(1, name), float(2, value), whole(20, 1)]);
}

const node = (op, inputs, output, attributes = {}) =>
  Buffer.concat([
    ...inputs.map((name) => block(1, name)),
    ...[block(2, output), block(4, op)],
    ...Object.entries(attributes).map(([name, value]) => block(5, attribute(name, value))),
  ]);

/** A tensor of the model: f32, or int64 for shapes. */
function constant(name, shape, data) {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const type = data instanceof Float32Array ? FLOAT : INT64;
  return Buffer.concat([...shape.map((n) => whole(1, n)), whole(2, type), block(8, name), block(9, raw)]);
}

function value(name, shape) {
  const dimensions = Buffer.concat(shape.map((n) => block(1, whole(1, n))));
  return Buffer.concat([block(1, name), block(2, block(1, Buffer.concat([whole(1, FLOAT), block(2, dimensions)])))]);
}

function model({ nodes, inputs, shape, constants = [] }) {
  const graph = Buffer.concat([
    ...nodes.map((n) => block(1, n)),
    block(2, "case"),
    ...constants.map((c) => block(5, c)),
    ...Object.entries(inputs).map(([name, input]) => block(11, value(name, input.shape))),
    block(12, value("y", shape)),
  ]);
  const opset = Buffer.concat([block(1, ""), whole(2, 20)]);
  return Buffer.concat([whole(1, 9), block(7, graph), block(8, opset)]);
}

const EPSILON = { axis: -1, epsilon: 1e-5 };

const attention = (q, k, v, y) => [
  node("Transpose", [k], "transposed", { perm: [0, 1, 3, 2] }),
  node("MatMul", [q, "transposed"], "products"),
  node("Mul", ["products", "scale"], "scores"),
  node("Softmax", ["scores"], "probabilities", { axis: -1 }),
  node("MatMul", ["probabilities", v], y),
];
const scaleFor = (D) => constant("scale", [], new Float32Array([1 / Math.sqrt(D)]));
const shapeOf = (name, ...shape) => constant(name, [shape.length], BigInt64Array.from(shape.map(BigInt)));

const linear = (x, w, b, y) => [node("MatMul", [x, w], `${y}_product`), node("Add", [`${y}_product`, b], y)];
const heads = (x) => [
  node("Reshape", [x, "by_heads"], `${x}_split`),
  node("Transpose", [`${x}_split`], `${x}_heads`, { perm: [0, 2, 1, 3] }),
];

const graphs = {
  matmul: (inputs) => ({ inputs, shape: inputs.a.shape, nodes: [node("MatMul", ["a", "b"], "y")] }),
  softmax: (inputs) => ({ inputs, shape: inputs.x.shape, nodes: [node("Softmax", ["x"], "y", { axis: -1 })] }),
  gelu: (inputs) => ({ inputs, shape: inputs.x.shape, nodes: [node("Gelu", ["x"], "y")] }),
  layernorm: (inputs) => ({
    ...{ inputs, shape: inputs.x.shape },
    nodes: [node("LayerNormalization", ["x", "weight", "bias"], "y", EPSILON)],
  }),
  attention: (inputs) => ({
    ...{ inputs, shape: inputs.q.shape, constants: [scaleFor(inputs.q.shape[3])] },
    nodes: attention("q", "k", "v", "y"),
  }),
  encoder({ x, ...parameters }) {
    delete parameters.w; // only the backward has it
    const [B, T, C] = x.shape;
    const weights = Object.entries(parameters).map(([name, { data, shape }]) => constant(name, shape, data));
    const shapes = [shapeOf("by_heads", B, T, 4, C / 4), shapeOf("joined", B, T, C), scaleFor(C / 4)];
    const nodes = [
      ...["q", "k", "v"].flatMap((name) => [...linear("x", `w${name}`, `b${name}`, name), ...heads(name)]),
      ...attention("q_heads", "k_heads", "v_heads", "context_heads"),
      node("Transpose", ["context_heads"], "context_split", { perm: [0, 2, 1, 3] }),
      node("Reshape", ["context_split", "joined"], "context"),
      ...linear("context", "wo", "bo", "attended"),
      node("Add", ["attended", "x"], "sum1"),
      node("LayerNormalization", ["sum1", "g1", "b1"], "h", EPSILON),
      ...linear("h", "w1", "c1", "inner"),
      node("Gelu", ["inner"], "activated"),
      ...linear("activated", "w2", "c2", "outer"),
      node("Add", ["outer", "h"], "sum2"),
      node("LayerNormalization", ["sum2", "g2", "b2"], "y", EPSILON),
    ];
    return { inputs: { x }, shape: x.shape, constants: [...weights, ...shapes], nodes };
  },
};

/** A peer of ONNX Runtime's API; `options` are those of a session. The result of a run is on the host. */
export function onnxPeer(ort, version, options) {
  const prepare = (graph) => async (given) => {
    const made = graph(given);
    const session = await ort.InferenceSession.create(new Uint8Array(model(made)), options);
    const feeds = Object.fromEntries(
      Object.entries(made.inputs).map(([name, { data, shape }]) => [name, new ort.Tensor("float32", data, shape)]),
    );
    const call = async () => (await session.run(feeds)).y.data;
    return { run: async () => void (await call()), result: async () => ({ y: await call() }) };
  };
  return { version, prepare: Object.fromEntries(Object.entries(graphs).map(([kind, g]) => [kind, prepare(g)])) };
}
