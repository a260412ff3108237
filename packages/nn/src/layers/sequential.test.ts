import { destroy, init, manualSeed, relu, scope, tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Linear } from "./linear.ts";
import { Sequential } from "./sequential.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

test("layers follow each other, under PyTorch's keys; one that is replaced is used", async () => {
  manualSeed(1);
  const net = new Sequential(new Linear(2, 2), relu, new Sequential(new Linear(2, 1)));
  expect([...net.stateDict().keys()]).toEqual(["0.weight", "0.bias", "2.0.weight", "2.0.bias"]);
  net.loadStateDict([
    ["0.weight", tensor([[1, -1], [2, 0]])],
    ["0.bias", tensor([0, -3])],
    ["2.0.weight", tensor([[1, 10]])],
    ["2.0.bias", tensor([0.5])],
  ]); // prettier-ignore
  expect(await scope(() => net.forward(tensor([[4, 1], [1, 4]])).toArray())).toEqual([[53.5], [0.5]]); // prettier-ignore
  const other = new Linear(2, 2, false);
  other.loadStateDict([["weight", tensor([[0, 0], [0, 1]])]]); // prettier-ignore
  net.replace("0", other);
  expect(await scope(() => net.forward(tensor([[4, 1]])).toArray())).toEqual([[10.5]]);
  expect(net.train()[2]).toMatchObject({ training: true });
  net.dispose();
  expect(() => new Sequential(relu, 3 as never)).toThrow("Sequential: layer 1 is 3, not a module or a function.");
});
