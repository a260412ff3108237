import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { badSubjects } from "./commits.ts";

let folder: string;
const git = (...args: string[]): void => {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
  execFileSync("git", [...identity, ...args], { cwd: folder, stdio: "ignore" });
};
const commit = (subject: string): void => git("commit", "--allow-empty", "-m", subject);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpugrad-commits-"));
  git("init", "-b", "main");
  commit("x".repeat(80));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("72 characters are allowed, not 73, counted as a reader does; a body may be long", () => {
  git("tag", "v1");
  for (const length of [72, 73]) commit("ü".repeat(length));
  commit(`Short\n\n${"x".repeat(100)}`);
  expect(badSubjects(folder)).toEqual([
    expect.stringMatching(
      new RegExp(`^[0-9a-f]{7,}: its subject has 73 characters, and may have 72: ${"ü".repeat(73)}$`),
    ),
  ]);
});

test("without a tag, all; after one, what is new", () => {
  expect(badSubjects(folder)).toHaveLength(1);
  git("tag", "v1");
  expect(badSubjects(folder)).toEqual([]);
  commit("y".repeat(90));
  expect(badSubjects(folder)).toHaveLength(1);
});

test("without a tag, the last 50", () => {
  for (let i = 0; i < 50; i++) commit(`Commit ${i}`);
  expect(badSubjects(folder)).toEqual([]);
});
