import { type AdapterInfo } from "../../runtime/adapter.ts";
import { device } from "../../runtime/init.ts";
import { firstThatSuits } from "../ladder.ts";
import { attentionLadder } from "./ladder.ts";
import type { AttentionRung, AttentionSizes } from "./rung.ts";

/** Which rung for which device and head dimension, by rule: the first that suits. */
export function chooseAttention(adapter: AdapterInfo, sizes: AttentionSizes): AttentionRung {
  const { subgroup, registers, tiled, subgroupMatrix } = attentionLadder.rungs;
  const order = adapter.cpu ? [subgroup, registers] : [subgroupMatrix, tiled];
  return firstThatSuits(attentionLadder, order, adapter, sizes);
}

export const choose = (sizes: AttentionSizes): AttentionRung =>
  attentionLadder.forced?.rung ?? chooseAttention(device().adapter, sizes);
