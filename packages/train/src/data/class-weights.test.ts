import { expect, test } from "vitest";
import { classWeights, formatLabelCounts, labelCounts } from "./class-weights.ts";
import { Dataset } from "./dataset.ts";

test("counts rows by class, and balances them as scikit-learn does", async () => {
  const rows = [0, 0, 0, 0, 0, 0, 0, 1, 1, 3, 3, 3, 3].map((label) => ({ text: "", label }));
  const data = Dataset.fromRows(rows);
  const counts = await labelCounts(data);
  expect(counts).toEqual([7, 2, 0, 4]);
  // compute_class_weight("balanced", classes=np.unique(y), y=y)
  expect(classWeights(counts)).toEqual([0.6190476190476191, 2.1666666666666665, 0, 1.0833333333333333]);
  expect(formatLabelCounts(counts, ["a", "b", "c", "d"])).toBe(
    "a 7 (53.8 %) · b 2 (15.4 %) · c 0 (0.0 %) · d 4 (30.8 %)",
  );
  expect(await labelCounts(data.select([0, 7, 12]).map((row) => ({ ...row, label: 2 })))).toEqual([0, 0, 3, 0]);
});

test("regressions and rows without labels have no classes", async () => {
  expect(await labelCounts(Dataset.fromRows([{ text: "", label: 0.5 }]))).toEqual([]);
  expect(await labelCounts(Dataset.fromRows([{ text: "" }]))).toEqual([]);
  expect(classWeights([])).toEqual([]);
});

test("of many classes, the largest are listed, with short names", () => {
  const counts = Array.from({ length: 10_000 }, (_, id) => (id === 7000 ? 40 : id === 3 ? 20 : 0));
  counts[9999] = 20;
  const line = formatLabelCounts(counts, [...counts.keys()].map((id) => (id === 3 ? "long ".repeat(100) : `c${id}`))); // prettier-ignore
  expect(line).toMatch(
    /^c7000 40 \(50\.0 %\) · (long ){16}… 20 \(25\.0 %\) · c9999 20 \(25\.0 %\) · c0 0 \(0\.0 %\) · /,
  );
  expect(line).toMatch(/ · … and 9,984 more$/);
  expect(formatLabelCounts(counts.slice(0, 16))).toMatch(/^0 0 .* · 3 20 \(100\.0 %\) · .* · 15 0 \(0\.0 %\)$/);
});
