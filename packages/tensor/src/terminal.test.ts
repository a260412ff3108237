import { expect, test } from "vitest";
import { visible } from "./terminal.ts";

test("what a terminal would act on is shown as JSON escapes it, and nothing else is changed", () => {
  expect(visible("\u001b[2Ja\u001b]0;title\u0007")).toBe("\\u001b[2Ja\\u001b]0;title\\u0007");
  expect(visible("over\rwritten\b\b\u009b31m\u007f")).toBe("over\\u000dwritten\\u0008\\u0008\\u009b31m\\u007f");
  expect(visible("a\u202eb\u2066c\u200fd\u2028e")).toBe("a\\u202eb\\u2066c\\u200fd\\u2028e");
  const plain = "tab\tand line\n äöü 日本語 👩‍💻 \u00a0…";
  expect(visible(plain)).toBe(plain);
  const json = JSON.stringify({ label: "\u009b\u202e\u001b" });
  expect(JSON.parse(visible(json))).toEqual(JSON.parse(json));
});
