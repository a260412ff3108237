import { device } from "../../runtime/init.ts";
import { variantOf, type AttentionVariant } from "./ladder.ts";

/** Which rung for which device and head dimension: the first that suits. */
export function chooseAttention(headDim: number): AttentionVariant {
  const { adapter } = device();
  const order: AttentionVariant[] = adapter.cpu ? ["subgroup", "registers"] : ["tiled"];
  return order.find((name) => variantOf(name).suits(headDim, adapter)) ?? "online";
}
