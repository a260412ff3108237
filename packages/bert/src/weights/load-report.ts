import type { LoadPlan } from "./load-plan.ts";

const notes = {
  UNEXPECTED: "can be ignored when loading from different task/architecture; not ok if you expect identical arch.",
  MISSING:
    "those params were newly initialized because missing from the checkpoint. Consider training on your downstream task.",
  MISMATCH: "ckpt weights were loaded, but they did not match the original empty weight shapes.",
};

/**
 * The table that Transformers prints about a plan, in its words, for those who know it; "" when all keys fit.
 *
 * @see https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/utils/loading_report.py
 */
export function formatLoadReport(
  plan: LoadPlan,
  { architecture, from }: { architecture: string; from: string },
): string {
  const size = (shape: readonly number[]) => `torch.Size([${shape.join(", ")}])`;
  const rows = [
    ...mergeLayers(plan.unexpected.map((key) => [key, ""])).map(([key]) => [key, "UNEXPECTED", "", ""]),
    ...mergeLayers(plan.missing.map((key) => [key, ""])).map(([key]) => [key, "MISSING", ""]),
    ...mergeLayers(
      plan.mismatched.map(([key, found, expected]) => [
        key,
        `Reinit due to size mismatch - ckpt: ${size(found)} vs model:${size(expected)}`,
      ]),
    ).map(([key, detail]) => [key, "MISMATCH", detail]),
  ].sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
  if (rows.length === 0) return "";

  const columns = Math.min(...rows.map((row) => row.length));
  const table = [["Key", "Status", "", ""], ...rows].map((row) => row.slice(0, columns));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...table.map((row) => row[i]!.length)));
  const [header, ...body] = table.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | "));
  const rule = widths.map((width) => "-".repeat(width)).join("-+-");
  const shown = Object.entries(notes).filter(([status]) => rows.some((row) => row[1] === status));
  return [
    ...plan.absentTied.map(
      ([saved, ...others]) =>
        `This checkpoint seem corrupted. The tied weights mapping for this model specifies to tie ${saved} to ${others.join(", ")}, ` +
        "but both are absent from the checkpoint, and we could not find another related tied weight for those keys",
    ),
    `${architecture} LOAD REPORT from: ${from}`,
    header,
    rule,
    ...body,
    "",
    "Notes:",
    ...shown.map(([status, note]) => `- ${status}:\t${note}`),
  ].join("\n");
}

/** Writes keys that differ only in numbers as one: `layer.{0, 1}.x`, or `layer.{0...11}.x` for more than ten. */
function mergeLayers(items: [key: string, detail: string][]): [key: string, detail: string][] {
  const number = /(?<=\.)\d+(?=\.|$)/g;
  const groups = new Map<string, { numbers: Set<number>[]; detail: string }>();
  for (const [key, detail] of items) {
    const numbers = (key.match(number) ?? []).map(Number);
    const pattern = key.replace(number, "*");
    const group = groups.get(pattern) ?? { numbers: numbers.map(() => new Set<number>()), detail };
    numbers.forEach((n, i) => group.numbers[i]!.add(n));
    groups.set(pattern, { ...group, detail });
  }
  return [...groups].map(([pattern, { numbers, detail }]) => {
    let i = 0;
    const key = pattern.replace(/\*/g, () => {
      const sorted = [...(numbers[i++] ?? [])].sort((a, b) => a - b);
      if (sorted.length === 1) return String(sorted[0]);
      return sorted.length > 10 ? `{${sorted[0]}...${sorted.at(-1)}}` : `{${sorted.join(", ")}}`;
    });
    return [key, detail];
  });
}
