// Calls of every op, over the shapes and options at which a GPU's choice of kernel or tuning changes. Nothing is computed: the
// tensors hold whatever they hold. What `pnpm bench` times is called as well (collect.ts), rungs of the ladders included.
import "@gpugrad/autograd";
import * as gg from "@gpugrad/tensor";
import { empty, type DType, type Shape, type Tensor } from "@gpugrad/tensor";
import * as optim from "@gpugrad/train";
import { Adafactor, Adam, AdamW, clipFactor, clipGradNorm, clipGradValue, GradScaler, SGD } from "@gpugrad/train";
import type { Rung } from "../../packages/tensor/src/ops/ladder.ts";
import { ladders, type LadderName, type RungOf } from "../../packages/tensor/src/ops/ladders.ts";

/** Lengths of rows: odd ones, whole vec4s, and those on either side of a choice. */
const LENGTHS = [
  1, 7, 31, 32, 33, 63, 64, 96, 128, 130, 256, 257, 384, 512, 768, 1024, 1025, 2048, 3072, 4096, 4098, 8192, 30522,
];

/** Likewise of attention's heads. */
const HEAD_DIMS = [8, 20, 32, 64, 80, 96, 128, 256];

const ints = (...shape: number[]): Tensor => empty(shape, "i32");
const floats = (...shape: number[]): Tensor => empty(shape);

/** Calls `op` with new tensors of `shapes` that require gradients, and goes back through it. */
function both(shapes: Shape[], op: (...tensors: Tensor[]) => Tensor): void {
  const tensors = shapes.map((shape) => empty(shape));
  for (const t of tensors) t.requiresGrad = true;
  const y = op(...tensors);
  y.backward({ gradient: empty(y.shape) });
}

/** Does `work` with each rung of a ladder that this adapter can run. */
function withEachRung<L extends LadderName>(name: L, sizes: Parameters<RungOf<L>["suits"]>[1], work: () => void): void {
  for (const rung of Object.values<Rung<typeof sizes>>(ladders[name].rungs)) {
    if (rung.suits(gg.device().adapter, sizes)) gg.withRung(name, rung.name, work);
  }
}

/** Everything, room by room; a room that fails is reported, the others continue. */
export const rooms: Record<string, () => void> = {
  elementwise() {
    const unary = [
      gg.neg,
      gg.abs,
      gg.square,
      gg.reciprocal,
      gg.sqrt,
      gg.rsqrt,
      gg.exp,
      gg.log,
      gg.sin,
      gg.cos,
      gg.tanh,
    ];
    const more = [gg.sigmoid, gg.relu, gg.gelu, gg.erf, gg.silu, gg.floor, gg.ceil, gg.round, gg.sign];
    for (const op of [...unary, ...more]) both([[64, 64]], (x) => op(x));
    both([[64, 64]], (x) => gg.gelu(x, { approximate: "tanh" }));
    both([[64, 64]], (x) => gg.clamp(x, { min: 0, max: 1 }));
    const binary = [gg.add, gg.sub, gg.mul, gg.div, gg.pow, gg.maximum, gg.minimum, gg.remainder, gg.fmod];
    const operands: [Shape, Shape][] = [
      [[8, 64], [8, 64]],
      [[8, 64], [64]],
      [[8, 64], [1]],
      [[8, 7], [7]],
      [[8, 1, 5], [3, 1]],
    ]; // prettier-ignore
    for (const op of binary) for (const pair of operands) both(pair, (a, b) => op(a, b));
    for (const op of binary) both([[8, 64]], (x) => op(x, 2));
    const compare = [gg.eq, gg.ne, gg.lt, gg.le, gg.gt, gg.ge, gg.logicalAnd, gg.logicalOr];
    for (const op of compare) for (const [a, b] of operands) op(empty(a), empty(b));
    for (const dtype of ["i32", "u32"] as const) {
      for (const op of [gg.add, gg.mul, gg.maximum, gg.eq]) op(empty([8, 64], dtype), empty([8, 64], dtype));
    }
    for (const op of [gg.isnan, gg.isinf, gg.isfinite, gg.logicalNot]) op(floats(64, 64));
    both([[8, 64], [8, 64]], (a, b) => gg.where(empty([8, 64], "bool"), a, b)); // prettier-ignore
    both([[8, 64]], (x) => gg.maskedFill(x, empty([8, 64], "bool"), 0));
    gg.addInPlace(floats(8, 64), floats(8, 64));
    for (const dtype of ["f32", "i32", "u32"] as const) gg.fill(empty([8, 64], dtype), 1);
  },

  order() {
    for (const dtype of ["f32", "i32", "u32"] as const) gg.argsort(empty([4, 300], dtype));
    both([[4, 300]], (x) => gg.sort(x).values);
    both([[4, 300]], (x) => gg.topk(x, 5).values);
    gg.multinomial(floats(4, 100), 3);
    both([[8, 16], [8, 4]], (x, src) => gg.scatter(x, 1, ints(8, 4), src)); // prettier-ignore
    gg.scatter(floats(8, 16), 1, ints(8, 4), 2);
    for (const reduce of ["sum", "prod", "mean", "amax", "amin"] as const)
      both([[8, 16], [8, 4]], (x, src) => gg.scatterReduce(x, 1, ints(8, 4), src, { reduce })); // prettier-ignore
    both([[8, 16]], (x) => gg.index(x, [ints(5), ints(5)]));
    both([[8, 16], [5]], (x, v) => gg.indexPut(x, [ints(5), ints(5)], v, { accumulate: true })); // prettier-ignore
  },

  images() {
    for (const groups of [1, 4]) {
      both([[2, 8, 16, 16], [16, 8 / groups, 3, 3], [16]], (x, w, b) => gg.conv2d(x, w, b, { padding: 1, groups }));
      both([[2, 8, 16, 16], [8, 16 / groups, 3, 3], [16]], (x, w, b) => gg.convTranspose2d(x, w, b, { stride: 2, groups }));
    } // prettier-ignore
    both([[2, 8, 16, 16]], (x) => gg.maxPool2d(x, 2));
    both([[2, 8, 16, 16]], (x) => gg.avgPool2d(x, 2));
    both([[2, 8, 16, 16]], (x) => gg.adaptiveAvgPool2d(x, 5));
    both([[2, 8, 16, 16]], (x) => gg.adaptiveMaxPool2d(x, 5));
    for (const mode of ["nearest", "nearest-exact", "bilinear"] as const)
      both([[2, 8, 16, 16]], (x) => gg.interpolate(x, { size: 24, mode }));
    both([[2, 8, 16, 16]], (x) => gg.batchNorm(x, undefined, undefined, undefined, undefined, { training: true }));
    both([[2, 8, 16, 16]], (x) => gg.groupNorm(x, 4));
  },

  activation() {
    const plain = [gg.celu, gg.elu, gg.expm1, gg.hardsigmoid, gg.hardswish, gg.leakyRelu, gg.log1p, gg.logsigmoid];
    for (const op of [...plain, gg.mish, gg.selu, gg.softplus, gg.hardtanh, gg.glu]) both([[64, 64]], (x) => op(x));
    both([[8, 64], [64]], (a, b) => gg.logaddexp(a, b)); // prettier-ignore
  },

  recurrent() {
    for (const [T, B, H] of [[8, 4, 24], [8, 4, 128], [3, 4, 1024], [3, 600, 64]] as const) {
      both([[T, B, 3 * H], [1, B, H], [3 * H, H], [3 * H]], (x, first, weight, bias) => gg.gruSequence(x, first, weight, bias));
      both([[T, B, 4 * H], [2, B, H], [4 * H, H], [4 * H]], (x, first, weight, bias) => gg.lstmSequence(x, first, weight, bias));
    } // prettier-ignore
  },

  linalg() {
    for (const upper of [true, false])
      for (const unitriangular of [true, false])
        both([[16, 16], [16, 4]], (a, b) => gg.solveTriangular(a, b, { upper, unitriangular })); // prettier-ignore
  },

  shape() {
    both([[16, 16]], (x) => gg.diagonal(x));
    both([[16]], (x) => gg.diag(x));
    both([[16, 16]], (x) => gg.roll(x, [3], [1]));
    both([[4, 8, 12, 64]], (x) => gg.permute(x, [0, 2, 1, 3]));
    both([[3, 5, 7, 9]], (x) => gg.permute(x, [3, 1, 0, 2]));
    both([[128, 64]], (x) => gg.transpose(x, 0, 1));
    both([[4, 8], [4, 8]], (a, b) => gg.concat([a, b], { dim: 1 })); // prettier-ignore
    both([[4, 8]], (x) => gg.flip(x, [1]));
    both([[4, 8]], (x) => gg.repeat(x, [2, 3]));
    both([[4, 1, 8]], (x) => gg.expand(x, [4, 5, 8]));
    both([[4, 9]], (x) => gg.slice(x, [[0, 3], [1, 8, 2]])); // prettier-ignore
    both([[4, 9]], (x) => gg.pad(x, [1, 2]));
    for (const op of [gg.tril, gg.triu]) both([[16, 16]], (x) => op(x));
    const dtypes: DType[] = ["f32", "f16", "bf16", "i32", "u32", "bool"];
    for (const from of dtypes) for (const to of dtypes) gg.cast(empty([8, 64], from), to);
    empty([3], "f16").writeBytes(new Uint8Array(2), 2); // half of a word
  },

  create() {
    gg.full([8, 8], 1);
    gg.arange(0, 100);
    gg.linspace(0, 1, 100);
    gg.eye(8);
    gg.rand([64, 64]);
    gg.randn([64, 64]);
    gg.randint(0, 9, [64, 64]);
    gg.bernoulli([64, 64], { p: 0.5 });
    gg.randomWords([64, 64]);
    both([[64, 64]], (x) => gg.dropout(x, { p: 0.1 }));
    both([[64, 64]], (x) => gg.dropout(x, { p: 0.1, mask: empty([64, 64]) }));
  },

  reduce() {
    for (const n of [1, 7, 32, 33, 256, 512, 768, 30522]) {
      for (const op of [gg.sum, gg.mean, gg.prod, gg.amax, gg.amin, gg.logsumexp, gg.variance]) {
        both([[6, n]], (x) => op(x, { dim: -1 }));
        both([[n, 6]], (x) => op(x, { dim: 0 }));
        both([[n, 8]], (x) => op(x, { dim: 0 }));
      }
      for (const dim of [0, 1]) {
        for (const op of [gg.argmax, gg.argmin]) op(floats(n, 6), { dim });
        both([[n, 6]], (x) => gg.max(x, { dim }).values);
        for (const op of [gg.cumsum, gg.cumprod, gg.logcumsumexp]) both([[n, 6]], (x) => op(x, { dim }));
        for (const op of [gg.any, gg.all]) op(floats(n, 6), { dim });
        both([[n, 6]], (x) => gg.std(x, { dim }));
        both([[n, 6]], (x) => gg.norm(x, { ord: 3, dim }));
      }
      for (const dtype of ["i32", "u32"] as const) {
        for (const op of [gg.sum, gg.amax]) op(empty([6, n], dtype), { dim: -1 });
        gg.argmax(empty([6, n], dtype), { dim: -1 });
        gg.cumsum(empty([6, n], dtype), { dim: -1 });
      }
    }
  },

  softmax() {
    for (const n of LENGTHS) both([[70, n]], (x) => gg.softmax(x));
    for (const n of [7, 33, 768, 30522]) both([[70, n]], (x) => gg.logSoftmax(x)); // the same code but for a logarithm
    for (const op of [gg.softmax, gg.logSoftmax]) both([[6, 40, 5]], (x) => op(x, { dim: 1 }));
  },

  norm() {
    for (const n of LENGTHS) {
      both([[70, n], [n], [n]], (x, weight, bias) => gg.layerNorm(x, weight, bias));
      for (const dropoutP of [0, 0.1]) {
        both([[70, n], [70, n], [n], [n]], (x, residual, weight, bias) =>
          gg.addLayerNorm(x, residual, weight, bias, { dropoutP }),
        ); // prettier-ignore
      }
      both([[70, n], [n]], (x, weight) => gg.rmsNorm(x, weight));
      both([[70, n]], (x) => gg.layerNorm(x));
    }
  },

  loss() {
    for (const n of LENGTHS) {
      for (const weight of [undefined, floats(n)]) {
        for (const labelSmoothing of [0, 0.1]) {
          const options = { weight, labelSmoothing };
          both([[40, n]], (x) => gg.crossEntropy(x, ints(40), options));
          both([[40, n]], (x) => gg.crossEntropy(x, floats(40, n), options));
          both([[40, n]], (x) => gg.crossEntropy(x, ints(40), { ...options, reduction: "none" }));
        }
      }
    }
    both([[4, 10, 7]], (x) => gg.crossEntropy(x, ints(4, 7), { reduction: "sum" }));
    for (const reduction of ["mean", "none"] as const) {
      for (const op of [gg.mseLoss, gg.l1Loss, gg.smoothL1Loss]) {
        both([[8, 64], [8, 64]], (x, t) => op(x, t, { reduction })); // prettier-ignore
      }
      for (const logTarget of [false, true])
        both([[8, 64]], (x) => gg.klDiv(x, floats(8, 64), { reduction, logTarget }));
      both([[8, 64]], (x) => gg.bceWithLogits(x, floats(8, 64), { reduction }));
      const weights = { weight: floats(64), posWeight: floats(64) };
      both([[8, 64]], (x) => gg.bceWithLogits(x, floats(8, 64), { reduction, ...weights }));
      both([[8, 64], [8, 64]], (a, b) => gg.cosineEmbeddingLoss(a, b, floats(8), { reduction })); // prettier-ignore
    }
    both([[8, 64], [8, 64]], (a, b) => gg.cosineSimilarity(a, b)); // prettier-ignore
    both([[8, 64]], (x) => gg.distillationLoss(x, floats(8, 64)));
  },

  index() {
    for (const width of [7, 64]) {
      both([[50, width]], (x) => gg.indexSelect(x, 0, ints(30)));
      both([[50, width]], (x) => gg.gather(x, 1, ints(50, 20)));
      both([[2048, width]], (x) => gg.gather(x, 1, ints(2048, 20)));
      both(
        [
          [50, width],
          [50, 20],
        ],
        (x, src) => gg.scatterAdd(x, 1, ints(50, 20), src),
      );
      both([[50, width]], (weight) => gg.embedding(weight, ints(4, 9), { paddingIdx: 0 }));
      for (const mode of ["sum", "mean", "max"] as const)
        both([[50, width]], (weight) => gg.embeddingBag(weight, ints(4, 9), { mode }));
      both([[50, width], [30]], (weight, perSampleWeights) =>
        gg.embeddingBag(weight, ints(30), { mode: "sum", offsets: ints(5), perSampleWeights }),
      ); // prettier-ignore
      for (const positionIds of [undefined, ints(4, 9)]) {
        both([[50, width], [16, width], [2, width]], (word, position, type) =>
          gg.bertEmbeddings(word, position, type, ints(4, 9), ints(4, 9), { positionIds }),
        ); // prettier-ignore
      }
      both([[50, width], [16, width], [2, width], [width], [width]], (word, position, type, weight, bias) =>
        gg.bertEmbeddingsNorm(word, position, type, weight, bias, ints(4, 9), ints(4, 9), { dropoutP: 0.1 }),
      ); // prettier-ignore
    }
    both([[50, 64]], (weight) => gg.embedding(weight, ints(64, 512))); // enough of them to be sorted in runs
    gg.oneHot(ints(9), { numClasses: 5 });
    gg.permutation(64);
  },

  matmul() {
    const sizes = [1, 7, 15, 16, 30, 33, 64, 100, 128, 256, 384, 768, 1024, 2048, 3072];
    const products = (): void => {
      for (const n of sizes) {
        for (const k of [5, 64, 4096]) {
          for (const transposeA of [false, true]) {
            for (const transposeB of [false, true]) {
              const a = transposeA ? floats(k, n) : floats(n, k);
              const b = transposeB ? floats(n, k) : floats(k, n);
              gg.matmul(a, b, { transposeA, transposeB });
            }
          }
        }
        both([[n, 64], [64, 64], [64]], gg.linear);
        both([[64, 64], [n, 64], [n]], gg.linear);
        for (const approximate of ["none", "tanh"] as const) {
          both([[n, 64], [64, 64], [64]], (x, w, b) => gg.linearGelu(x, w, b, { approximate }));
        }
      }
      const [words, scale] = gg.quantizeInt8(floats(64, 64));
      for (const rows of [8, 32, 64]) {
        gg.linear(floats(rows, 64), empty([64, 64], "f16"));
        gg.linearInt8(floats(rows, 64), words, scale, floats(64));
        gg.linearInt8(floats(rows, 64), words, scale, floats(64), { gelu: "tanh" });
      }
      both([[4, 12, 128, 64], [4, 12, 64, 128]], (a, b) => gg.matmul(a, b)); // prettier-ignore
      both([[4, 12, 33, 5], [5, 70]], (a, b) => gg.matmul(a, b)); // prettier-ignore
      both([[2048, 768], [3072, 768], [3072]], gg.linear);
      both([[2048, 3072], [768, 3072], [768]], gg.linear);
    };
    // Whatever of the ladder can run here, and not only what is chosen.
    const usual = { M: 128, N: 128, K: 128, batches: 1 };
    for (const precision of ["f32", "f16"] as const) {
      gg.autocast(products, { dtype: precision });
      withEachRung("matmul", { ...usual, precision }, () => gg.autocast(products, { dtype: precision }));
    }
  },

  attention() {
    const keys = { mask: empty([2, 1, 1, 40], "bool") };
    const scores = { mask: floats(2, 1, 40, 40) };
    const most: gg.AttentionOptions = { ...keys, dropoutP: 0.1 }; // what takes the most registers
    const every = [{}, keys, scores]
      .flatMap((o) => [o, { ...o, isCausal: true }])
      .flatMap((o) => [o, { ...o, dropoutP: 0.1 }]);
    for (const headDim of HEAD_DIMS) {
      withEachRung("attention", { headDim }, () => {
        for (const options of headDim === 64 ? every : [most]) {
          const shape = [2, 3, 40, headDim];
          const call = (): void =>
            both([shape, shape, shape], (q, k, v) => gg.scaledDotProductAttention(q, k, v, options));
          call();
          if (headDim === 64) gg.autocast(call);
        }
      });
    }
    const matrices = ladders.attention.rungs.subgroupMatrix;
    for (const headDim of HEAD_DIMS.filter((headDim) =>
      matrices.suits(gg.device().adapter, { headDim, precision: "f16" }),
    )) {
      const shape = [2, 3, 40, headDim];
      for (const options of headDim === 64 ? every : [most])
        gg.withRung("attention", "subgroupMatrix", () =>
          gg.autocast(() => both([shape, shape, shape], (q, k, v) => gg.scaledDotProductAttention(q, k, v, options))),
        );
    }
    const window: gg.AttentionOptions = { window: 8, enableGqa: true };
    both([[2, 4, 40, 64], [2, 2, 40, 64], [2, 2, 40, 64]], (q, k, v) => gg.scaledDotProductAttention(q, k, v, window)); // prettier-ignore
    for (const T of [40, 64]) {
      const mask = floats(2, 1, T, T);
      mask.requiresGrad = true;
      for (const dropoutP of [0, 0.1]) both([[2, 3, T, 64]], (q) => gg.scaledDotProductAttention(q, q, q, { mask, dropoutP })); // prettier-ignore
    }
    gg.scaledDotProductAttentionWithLse(floats(2, 3, 40, 64), floats(2, 3, 40, 64), floats(2, 3, 40, 64));
  },

  positions() {
    const { numbers, ranges } = gg.numberDistances([2, 2, 1, 0, 3, 4, 4]);
    for (const which of [0, 1, 2])
      both([[2, 3, 4, 5], [2, 3, 4, 5]], (rows, columns) =>
        gg.relativeBias(which === 1 ? undefined : rows, which === 0 ? undefined : columns, numbers, ranges)); // prettier-ignore
    for (const headDim of [5, 8]) {
      const [q, table] = [[2, 4, 3, headDim], [1, 5, 3, headDim]]; // prettier-ignore
      withEachRung("positions", { headDim }, () =>
        both([q, q, q, table, table], (...[q, k, v, K, Q]) =>
          gg.disentangledAttention(q!, k!, v!, K, Q, { numbers, ranges }, undefined, { dropoutP: 0.1 }),
        ),
      );
    }
    const { cosine, sine } = gg.rotaryAngles(40, 64);
    both([[2, 40, 3, 64]], (x) => gg.rotary(x, cosine, sine));
    both([[2, 40, 3, 80]], (x) => gg.rotary(x, cosine, sine, { interleaved: true }));
  },

  optim() {
    const parameters = [[256, 128], [64, 64], [64], [7]].map((shape, i): [string, Tensor] => [`p${i}`, empty(shape)]); // prettier-ignore
    for (const [, p] of parameters) {
      p.requiresGrad = true;
      p.grad = empty(p.shape);
    }
    const tensors = parameters.map(([, p]) => p);
    for (const normType of [1, 2, Infinity] as const) clipGradNorm(tensors, 1, { normType });
    clipGradValue(tensors, 1);
    new AdamW(parameters).step();
    new Adam(parameters).step();
    new SGD(parameters, { lr: 1e-3 }).step();
    new SGD(parameters, { lr: 1e-3, momentum: 0.9, nesterov: true }).step();
    new Adafactor(parameters).step();
    new Adafactor(parameters, { lr: 1e-3, relativeStep: false, scaleParameter: false, beta1: 0.9 }).step();
    for (const Moments of [
      optim.Lion,
      optim.RMSprop,
      optim.Adagrad,
      optim.Adadelta,
      optim.Adamax,
      optim.RAdam,
      optim.NAdam,
      optim.AMSGrad,
    ])
      new Moments(parameters).step();
    new AdamW(parameters).step(clipFactor(tensors, 1));
    const scaler = new GradScaler();
    for (const maxNorm of [1, Infinity]) {
      scaler.step(new AdamW(parameters), { maxNorm });
      scaler.update();
    }
  },
};
