import { checkOp } from "../../testing/check-op.ts";
import { logSoftmax, softmax } from "./softmax.ts";
import { logSoftmaxReference, softmaxReference } from "./softmax.reference.ts";

const cases = [
  { shapes: [[1, 1]] },
  { shapes: [[3, 7]] },
  { shapes: [[2, 3, 257]] },
  { shapes: [[5, 8]], args: [{ dim: 0 }] },
  { shapes: [[2, 6, 5]], args: [{ dim: 1 }] },
  { shapes: [[0, 4]] },
  { shapes: [[70_000, 2]], gradient: false, note: "many rows" },
];

checkOp(softmax, softmaxReference, { cases });
checkOp(logSoftmax, logSoftmaxReference, { cases });
