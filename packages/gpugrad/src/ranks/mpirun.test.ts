// Real ranks: `mpirun` starts the command line, as users do.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TinyTraining } from "../../../../scripts/kill-ranks.ts";
import { launchers, mpirun, program, ranksBelow, type TestLauncher } from "../../../../scripts/launchers.ts";
import { captured } from "../../test/captured.ts";
import { tinyRun } from "../../test/tiny-run.ts";
import { predict } from "../commands/predict.ts";
import { train } from "../commands/train.ts";

const dir = mkdtempSync(join(tmpdir(), "gpugrad-mpirun-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const at = (name: string): string => join(dir, name);
let options: string[];
beforeAll(async () => void (options = await tinyRun(at("model"))));

const cli = "packages/gpugrad/src/cli.ts";
const losses = (name: string): number[] =>
  readFileSync(at(`${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { loss: number }).loss);

/** The options of a run that writes into the folder of its name, and its losses beside that. */
const run = (name: string, ...more: string[]): string[] => [
  ...[...options, "--output_dir", at(name), "--loss_trace", at(`${name}.jsonl`), "--max_steps", "8"],
  ...more,
];
const ranks = (launcher: TestLauncher, size: number, words: string[]) =>
  mpirun(launcher, size, [cli, "train", ...words]);

describe.skipIf(launchers.length === 0).each(launchers)("$name", (launcher) => {
  test("three ranks train as one process with three times the batch does", async () => {
    const name = `alone-${launcher.command}`;
    await captured(() => train(run(name, "--per_device_train_batch_size", "12", "--dropout", "0")));
    const several = `ranks-${launcher.command}`;
    const { code, stdout, stderr } = await ranks(
      launcher,
      3,
      run(several, "--per_device_train_batch_size", "4", "--dropout", "0"),
    );
    expect(code, stderr).toBe(0);
    expect(stdout.match(/accuracy .* on 100 rows/g), "one rank prints").toHaveLength(1);
    expect(stderr).toMatch("8 updates of 12 rows");
    losses(name).forEach((loss, i) => expect(losses(several)[i]).toBeCloseTo(loss, 5));
    expect(readdirSync(at(several))).toEqual(readdirSync(at(name)));
  });
});

test.skipIf(launchers.length === 0)("predict: ranks share the rows, and the labels come in their order", async () => {
  const words = [at("model"), "--file", join(at("model"), "rows.csv"), "--batch-size", "1", "--skip", "5"];
  const alone = await captured(() => predict(words));
  const { code, stdout, stderr } = await mpirun(launchers[0]!, 2, [cli, "predict", ...words]);
  expect(code, stderr).toBe(0);
  expect(stdout).toBe(alone.out);
  expect(stdout.trim().split("\n")).toHaveLength(95);
});

test.skipIf(launchers.length === 0)("one rank says what is wrong with a command line", async () => {
  for (const [command, wrong] of [
    ["train", "--modle"],
    ["predict", "--fiel"],
  ] as const) {
    const { code, stderr } = await mpirun(launchers[0]!, 2, [cli, command, wrong, "x"]);
    expect(code).not.toBe(0);
    expect(stderr.match(/unknown option/g), stderr).toHaveLength(1);
  }
});

test.skipIf(launchers.length === 0)("a rank is killed: the same command continues to the same bytes", async () => {
  const training = new TinyTraining({ updates: 10 });
  try {
    const { bytes } = await training.run(launchers[0]!, 2);
    const outcome = await training.run(launchers[0]!, 2, { rank: 1, updates: 5, ms: 0 });
    expect(outcome.killed).toBe(true);
    expect(outcome.seconds).toBeLessThan(30);
    expect(outcome.bytes).toBe(bytes);
  } finally {
    training.dispose();
  }
});

describe.skipIf(launchers.length === 0)("gpugrad launch", () => {
  const [launcher] = launchers as [TestLauncher];
  const launched = (name: string, started?: (pid: number) => void, ...more: string[]) =>
    program(
      [
        ...[cli, "launch", "--ranks", "3", "--restarts", "1", "--mpirun", launcher.command, "train"],
        ...run(name, ...more),
      ],
      started,
    );
  const batches = ["--per_device_train_batch_size", "4", "--dropout", "0", "--save_steps", "4", "--max_steps", "16"];

  test("a rank that is killed ends all, and those that are left continue: the same losses as undisturbed", async () => {
    const alone = batches.with(1, "12");
    await captured(() => train(run("undisturbed", ...alone)));
    const { code, stderr } = await launched(
      "killed",
      (pid) => void killRankOf(pid, at("killed/checkpoint-4")),
      ...batches,
    );
    expect(stderr).toMatch("restart 1 of 1, with 2 rank(s)");
    expect(stderr).toMatch(/gpugrad launch: (rank \d|process \d+) on \S+ /);
    expect(stderr).toMatch(/batches of \S+killed.checkpoint-\d+ have 12 rows/);
    expect(code, stderr).toBe(0);
    expect(losses("killed")).toHaveLength(16);
    losses("undisturbed").forEach((loss, i) => expect(losses("killed")[i]).toBeCloseTo(loss, 4));
  });

  test("SIGTERM saves once, and is no reason to start again", async () => {
    const stop = (pid: number): void =>
      void waitFor(at("stopped/checkpoint-4")).then(() => process.kill(pid, "SIGTERM"));
    const { code, stderr } = await launched("stopped", stop, ...batches, "--max_steps", "4000");
    expect(stderr.match(/all is saved in/g), stderr).toHaveLength(1);
    expect(stderr).not.toMatch("restart");
    expect(code).not.toBe(0);
  });
});

const waitFor = async (path: string): Promise<void> => {
  while (!existsSync(path)) await new Promise((later) => setTimeout(later, 50));
};

/** Ends one of a launcher's ranks as a crash would, once there is a checkpoint. */
async function killRankOf(launcherPid: number, checkpoint: string): Promise<void> {
  await waitFor(checkpoint);
  process.kill(ranksBelow(launcherPid).at(-1)!.pid, "SIGKILL");
}
