import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What a program of this folder prints. */
function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, "scripts/run.mjs"), `examples/${program}.ts`, ...args],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

test("a convolutional net reads digits", () => {
  expect(Number(/^accuracy ([\d.]+)$/.exec(run("digits"))?.[1])).toBeGreaterThan(0.95);
});

test("a GPT learns a text, and continues it in its words", () => {
  const lines = run("gpt").split("\n");
  const steps = lines.filter((line) => line.startsWith("step "));
  const [last, text] = [steps.at(-1)!, lines.slice(steps.length).join(" ")];
  expect(Number(/loss ([\d.]+)$/.exec(last)?.[1])).toBeLessThan(0.7);
  const known = new Set(
    "the tide came in and went out boat lay still set sail wind blew cold warm gull flew low high".split(" "),
  );
  const words = text.replace(/[.\n]/g, " ").split(" ").filter(Boolean).slice(0, -1); // the last one may be cut
  expect(words.filter((word) => known.has(word)).length).toBeGreaterThan(0.7 * words.length);
});

test("a recurrent net remembers two numbers, and adds them", () => {
  expect(Number(/^error ([\d.]+)$/.exec(run("adding"))?.[1])).toBeLessThan(0.02); // 0.167 without memory
});

test("a policy finds the arm that pays best", () => {
  const shares = run("bandit").split(" ").map(Number);
  expect(shares.indexOf(Math.max(...shares))).toBe(2);
  expect(shares[2]).toBeGreaterThan(0.6);
});

test("a diffusion model makes points that lie on the moons", () => {
  const [, made, noise] = /^mean distance ([\d.]+), of noise ([\d.]+)$/.exec(run("moons"))!;
  expect(Number(made)).toBeLessThan(Number(noise) / 2.5);
});

test("GPT-2 and Llama continue a prompt, the same way for the same seed", () => {
  for (const name of ["gpt2", "llama"]) {
    const args = [`examples/fixtures/decoders/${name}`, "3 17 9", "--tokens", "4", "--top-k", "5", "--seed", "7"];
    const tokens = run("generate", ...args);
    expect(tokens).toMatch(/^(\d+ ){3}\d+$/);
    expect(run("generate", ...args)).toBe(tokens);
  }
});
