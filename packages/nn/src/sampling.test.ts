import { destroy, init, tensor } from "@gpugrad/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { filterLogits, type FilterOptions } from "./sampling.ts";

beforeAll(async () => void (await init()));
afterAll(destroy);

const none = -Infinity;
// Probabilities 1/2, 1/4, 1/8, 1/8.
const logits = [3, 1, 2, 1].map((power) => power * Math.LN2);
const filtered = async (options: FilterOptions, given = logits): Promise<number[]> =>
  Array.from(await filterLogits(tensor([given]), options).data());
const f32 = (list: number[]): number[] => list.map(Math.fround);

test("top-k keeps all that equal the k-th, top-p the one that crosses p, min-p what is likely enough", async () => {
  expect(await filtered({ topK: 2 })).toEqual(f32([logits[0]!, none, logits[2]!, none]));
  expect(await filtered({ topK: 3 })).toEqual(f32(logits));
  expect(await filtered({ topK: 9 })).toEqual(f32(logits));
  expect(await filtered({ topP: 0.6 })).toEqual(f32([logits[0]!, none, logits[2]!, none]));
  expect(await filtered({ topP: 0.01 })).toEqual(f32([logits[0]!, none, none, none]));
  expect(await filtered({ minP: 0.4 })).toEqual(f32([logits[0]!, none, logits[2]!, none]));
  expect(await filtered({ topK: 2, topP: 0.6 })).toEqual(f32([logits[0]!, none, none, none])); // of what top-k left
});

test("temperature and the penalty of repetition come first", async () => {
  expect(await filtered({ temperature: 2 }, [2, -4])).toEqual([1, -2]);
  const ids = tensor([[0, 1, 0]], "i32");
  expect(await filtered({ repetitionPenalty: 2, ids }, [3, -1, 5])).toEqual([1.5, -2, 5]);
});

test("options are checked", () => {
  expect(() => filterLogits(tensor([logits]), { temperature: 0 })).toThrow("filterLogits: temperature is 0");
  expect(() => filterLogits(tensor([logits]), { topP: 1.5 })).toThrow("filterLogits: topP is 1.5");
  expect(() => filterLogits(tensor([logits]), { repetitionPenalty: 2 })).toThrow(
    "repetitionPenalty and ids are given together",
  );
});
