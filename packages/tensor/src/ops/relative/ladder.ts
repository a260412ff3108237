import { device } from "../../runtime/init.ts";
import type { Tensor } from "../../tensor.ts";
import { chooseAttention } from "../attention/choose.ts";
import { POSITIONED_BUFFERS, type Positions } from "../attention/plan.ts";
import type { AttentionSizes } from "../attention/rung.ts";
import { filled } from "../elementwise/fill.ts";
import { logicalNot } from "../elementwise/predicate.ts";
import { maskedFill, where } from "../elementwise/where.ts";
import { firstThatSuits, ladder, type Rung, type Unnamed } from "../ladder.ts";
import { relativeBias } from "./relative-bias.ts";

/** float32's lowest: the score of pairs that are masked. */
const LOWEST = -3.4028234663852886e38;

/** Scores of positions, on their way into attention. */
export interface PositionTask {
  positions: Positions;
  /** i32 [numbers, 2]: see `numberDistances`. */
  ranges: Tensor;
  /** bool, broadcastable to [B, H, T, T]: true where a query may attend to a key; the others' scores are float32's lowest. */
  mask: Tensor | undefined;
  scale: number;
  /** Takes what attention is to be given. */
  attend: (mask: Tensor | undefined, positions?: Positions) => void;
}

export type PositionRung = Rung<AttentionSizes, PositionTask>;

const rungs = {
  bias: {
    kernel: "relative-bias",
    idea: "written as a bias, [B, H, T, T], which attention takes as a mask",
    suits: () => true,
    compute({ positions: { rows, columns, numbers, first }, ranges, mask, scale, attend }) {
      const bias = relativeBias.definition.forward(rows, columns, numbers, ranges, { scale, first }).output;
      attend(mask ? maskedFill.definition.forward(bias, hidden(mask), LOWEST).output : bias);
    },
  },
  fused: {
    kernel: "attention with position-scores",
    idea: "added score by score inside attention's kernels",
    suits: (adapter, sizes) =>
      adapter.cpu &&
      adapter.storageBuffers >= POSITIONED_BUFFERS &&
      chooseAttention(adapter, sizes).addsPositions === true,
    compute({ positions, mask, attend }) {
      const [zero, lowest] = [filled([], 0), filled([], LOWEST)];
      attend(mask && where.definition.forward(mask, zero, lowest).output, positions);
    },
  },
} satisfies Record<string, Unnamed<PositionRung>>;

const hidden = (mask: Tensor): Tensor => logicalNot.definition.forward(mask).output;

export const positionLadder = ladder<PositionRung, keyof typeof rungs>("positions", rungs, "bias");

/** Fused where attention's kernels can: those for CPUs. */
export const choosePositions = (sizes: AttentionSizes): PositionRung =>
  positionLadder.forced?.rung ?? firstThatSuits(positionLadder, [positionLadder.rungs.fused], device().adapter, sizes);
