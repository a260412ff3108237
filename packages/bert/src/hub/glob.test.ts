import { describe, expect, it } from "vitest";
import { globMatcher } from "./glob.ts";

describe("globMatcher", () => {
  it.each([
    ["*.csv", ["a.csv", ".csv"], ["a.csvx", "b/a.csv", "acsv"]],
    ["data/train-*", ["data/train-", "data/train-0001.parquet"], ["data/train", "data/train-0/1", "xdata/train-1"]],
    ["**/train.csv", ["train.csv", "a/train.csv", "a/b/train.csv"], ["mytrain.csv", "a/mytrain.csv", "a/train.csv/b"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab", "a/b/c"]],
    ["**.csv", ["a.csv", "a/b.csv"], ["a.csv/b"]],
    ["data/**", ["data/", "data/a", "data/a/b"], ["data", "other/a"]],
    ["?.txt", ["a.txt", "😀.txt"], ["/.txt", "ab.txt", ".txt"]],
    ["a*b*c", ["abc", "axbxc", "abbcc"], ["acb", "ab/c"]],
    ["a.b[c]{d}(e)|^$+\\", ["a.b[c]{d}(e)|^$+\\"], ["axb[c]{d}(e)|^$+\\", "a.bc"]],
    ["line\n*", ["line\n", "line\nbreak"], ["line"]],
    ["", [""], ["a"]],
  ])("%j", (pattern, matching, others) => {
    const matches = globMatcher(pattern);
    expect(matching.filter((path) => !matches(path))).toEqual([]);
    expect(others.filter(matches)).toEqual([]);
  });

  it("takes no longer for patterns that can match in very many ways", () => {
    for (const star of ["*", "**", "**/", "?*"]) {
      const began = process.cpuUsage();
      const matches = globMatcher(`${`${star}a`.repeat(300).slice(0, 1000)}x`);
      expect(matches("a".repeat(1000))).toBe(false);
      const { user, system } = process.cpuUsage(began);
      expect(user + system, star).toBeLessThan(2e6); // microseconds; 20,000 are usual
    }
    expect(() => globMatcher("*".repeat(1025))).toThrow(/a pattern has 1025 characters, at most 1024/);
  });
});
