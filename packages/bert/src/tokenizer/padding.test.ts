import { expect, it } from "vitest";
import { padRows } from "./padding.ts";

const rows = [{ input_ids: [5, 6, 7], token_type_ids: [0, 0, 1] }, { input_ids: [8] }];
const columns = (...args: Parameters<typeof padRows>) => {
  const { input_ids, token_type_ids, attention_mask, shape } = padRows(...args);
  return [[...input_ids], [...token_type_ids], [...attention_mask], shape];
};

it("pads to the longest row, on either side", () => {
  expect(columns(rows, { padTokenId: 9 })).toEqual([
    [5, 6, 7, 8, 9, 9],
    [0, 0, 1, 0, 0, 0],
    [1, 1, 1, 1, 0, 0],
    [2, 3],
  ]);
  expect(columns(rows, { padTokenId: 9, paddingSide: "left" })).toEqual([
    [5, 6, 7, 9, 9, 8],
    [0, 0, 1, 0, 0, 0],
    [1, 1, 1, 0, 0, 1],
    [2, 3],
  ]);
});

it("keeps the mask of a row that has one", () => {
  const masked = { input_ids: [5, 0], attention_mask: [1, 0] };
  expect(columns([masked, { input_ids: [6, 7, 8] }], { padTokenId: 0 })[2]).toEqual([1, 0, 0, 1, 1, 1]);
});

it("pads to a length or a multiple; a longer row keeps its length", () => {
  const shape = (options: Parameters<typeof padRows>[2]) => padRows(rows, { padTokenId: 9 }, options).shape;
  expect(shape({ padToMultipleOf: 4 })).toEqual([2, 4]);
  expect(shape({ padding: "max_length", maxLength: 5 })).toEqual([2, 5]);
  expect(shape({ padding: "max_length", maxLength: 2 })).toEqual([2, 3]);
  expect(shape({ padding: "max_length" })).toEqual([2, 3]);
  expect(padRows([], {}).shape).toEqual([0, 0]);
});

it("needs a padding token only where there is something to pad", () => {
  expect([...padRows([{ input_ids: [1, 2] }], {}).input_ids]).toEqual([1, 2]);
  expect(() => padRows(rows, {})).toThrow(/need padding, but the vocabulary has no padding token. Set pad_token/);
});
