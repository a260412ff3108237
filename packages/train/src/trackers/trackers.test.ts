import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { drive } from "../../test/drive.ts";
import { pythonWith } from "../../../../scripts/python-for-tests.ts";
import { csvTracker } from "./csv.ts";
import { jsonlTracker } from "./jsonl.ts";
import { tensorBoardTracker } from "./tensorboard.ts";

let outputDir: string;
beforeEach(() => void (outputDir = mkdtempSync(join(tmpdir(), "trackers-"))));
afterEach(() => rmSync(outputDir, { recursive: true }));

/** The data of each record of a file in TFRecord's frames. */
function records(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16 + found.at(-1)!.length)
    found.push(bytes.subarray(at + 12, at + 12 + Number(bytes.readBigUInt64LE(at))));
  return found;
}

const read = (name: string): string => readFileSync(join(outputDir, name), "utf8");

describe("log.csv", () => {
  it("has a row for each entry, and gives a column that comes later to all of them", async () => {
    const run = drive([csvTracker({ outputDir })], { outputDir });
    await run.begin();
    await run.log(2, { loss: 0.5, learning_rate: 1e-5 });
    await run.log(4, { loss: NaN, learning_rate: 0 });
    await run.log(4, { 'eval_"f1", macro': 0.75 });
    await run.end();
    expect(read("log.csv").split("\n")).toEqual([
      'step,epoch,loss,learning_rate,"eval_""f1"", macro"',
      "2,0.5,0.5,0.00001,",
      "4,1,NaN,0,",
      "4,1,,,0.75",
      "",
    ]);
  });
});

test("log.csv keeps a metric whose name a spreadsheet would compute, or an object already has, as it is", async () => {
  const run = drive([csvTracker({ outputDir })], { outputDir });
  await run.begin();
  await run.log(2, { "=HYPERLINK(A1)": -0.5, toString: 1 });
  await run.log(4, { loss: -Infinity });
  expect(read("log.csv").split("\n")).toEqual([
    "step,epoch,'=HYPERLINK(A1),toString,loss",
    "2,0.5,-0.5,1,",
    "4,1,,,-Infinity",
    "",
  ]);
});

describe.each([
  ["log.csv", csvTracker],
  ["log.jsonl", jsonlTracker],
])("%s", (file, tracker) => {
  it("of a run that is resumed is that of an undisturbed one", async () => {
    const logs = [1, 2, 3, 4].map((i) => ({ loss: 1 / i }));
    const whole = drive([tracker({ outputDir })], { outputDir });
    await whole.begin();
    for (const [i, entry] of logs.entries()) await whole.log(2 * (i + 1), entry);
    const undisturbed = read(file);

    appendFileSync(join(outputDir, file), '{"loss": 0.1, "st'); // killed in the middle of a line
    const resumed = drive([tracker({ outputDir })], { outputDir }, whole.state.logHistory.slice(0, 2));
    await resumed.begin();
    expect(read(file)).toBe(undisturbed.slice(0, read(file).length));
    for (const i of [2, 3]) await resumed.log(2 * (i + 1), logs[i]!);
    expect(read(file)).toBe(undisturbed);
  });

  it("that can't be written gives one warning, and does not end the run", async () => {
    writeFileSync(join(outputDir, "a file"), "");
    const warnings: string[] = [];
    const options = { outputDir: join(outputDir, "a file"), warn: (message: string) => warnings.push(message) };
    const run = drive([tracker(options)], { outputDir });
    await run.begin();
    await run.log(2, { loss: 1 });
    await run.end();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^reportTo (csv|jsonl): .*a file.* Training continues without it\.$/s);
  });
});

it("log.jsonl has an object a line, and no number that JSON hasn't", async () => {
  const run = drive([jsonlTracker({ outputDir })], { outputDir });
  await run.begin();
  await run.log(2, { loss: NaN });
  expect(read("log.jsonl")).toBe('{"loss":null,"epoch":0.5,"step":2}\n');
});

describe("TensorBoard", () => {
  const python = pythonWith("tensorboard");

  it("gets a folder per run, and a file each time that a run continues; neither token nor local path is in them", async () => {
    const hubToken = "hf_" + "x".repeat(30);
    const args = { outputDir, hubToken, resumeFromCheckpoint: join(outputDir, "checkpoint-2") };
    const first = drive([tensorBoardTracker({ outputDir })], args);
    await first.begin();
    await first.log(2, { loss: 0.5 });
    const again = drive([tensorBoardTracker({ outputDir })], args, first.state.logHistory);
    await again.begin();
    const [folder, ...others] = readdirSync(join(outputDir, "runs"));
    expect(others).toEqual([]);
    expect(folder).toMatch(/^[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d$/);
    const files = readdirSync(join(outputDir, "runs", folder!));
    expect(files).toHaveLength(2);
    for (const name of files) {
      const bytes = read(join("runs", folder!, name));
      expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
      expect(bytes).toContain('"resume_from_checkpoint": "checkpoint-2"');
      expect([bytes.includes(hubToken), bytes.includes(outputDir)]).toEqual([false, false]);
    }
  });

  it("learns where a resumed run begins again, in the newest folder, whatever else lies beside it", async () => {
    const first = drive([tensorBoardTracker({ outputDir })], { outputDir });
    await first.begin();
    await first.log(6, { loss: 0.5 });
    const [folder] = readdirSync(join(outputDir, "runs"));
    writeFileSync(join(outputDir, "runs", ".DS_Store"), "");
    const again = drive([tensorBoardTracker({ outputDir })], { outputDir }, first.state.logHistory);
    await again.begin();
    const files = readdirSync(join(outputDir, "runs", folder!)).map((name) => readFileSync(join(outputDir, "runs", folder!, name))); // prettier-ignore
    expect(files).toHaveLength(2);
    // Events begin with their time: a byte that says so, and a double. A session start is step 7, and field 7 with status 1.
    const start = Buffer.from([2 * 8, 7, 7 * 8 + 2, 2, 1 * 8, 1]);
    expect(files.map((bytes) => records(bytes).filter((event) => event.subarray(9).equals(start)).length).sort()).toEqual([0, 1]); // prettier-ignore
    expect(records(files.find((bytes) => bytes.includes(start))!)[1]!.subarray(9)).toEqual(start);
  });

  it.each([
    ["../../outside", "-..-outside"],
    ["..", "-"],
    ["bert/lr=5e-5", "bert-lr=5e-5"],
    ["/etc/cron.d", "-etc-cron.d"],
  ])("has a run named %s in a folder of its own: %s", async (runName, folder) => {
    const output = join(outputDir, "deep", "output");
    const run = drive([tensorBoardTracker({ outputDir: output, runName })], { outputDir: output });
    await run.begin();
    expect(readdirSync(outputDir)).toEqual(["deep"]);
    expect(readdirSync(join(outputDir, "deep"))).toEqual(["output"]);
    expect(readdirSync(join(output, "runs"))).toEqual([folder]);
  });

  it.skipIf(!python)("itself reads scalars and texts, and of a run that is resumed each step once", async () => {
    const track = () => [tensorBoardTracker({ outputDir, runName: "tiny" })];
    const first = drive(track(), { outputDir, learningRate: 3e-5 });
    await first.begin();
    await first.log(2, { loss: 0.5, learning_rate: 3e-5 });
    await first.log(4, { loss: 0.25 });
    await first.log(4, { eval_loss: 0.75, eval_accuracy: 0.625 });
    const resumed = drive(track(), { outputDir, learningRate: 3e-5 }, first.state.logHistory.slice(0, 1));
    await resumed.begin();
    await resumed.log(4, { loss: 0.125 });
    await resumed.log(4, { eval_loss: 0.5, eval_accuracy: 0.875 });
    await resumed.log(5_000_000_000, { train_runtime: 12.5, train_loss: 0.3 });
    await resumed.end();
    const program = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(json.loads(sys.argv[1]))
events.Reload()
text = lambda tag: events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
print(json.dumps({
  "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]},
  "texts": {tag: text(tag) for tag in events.Tags()["tensors"]},
  "plugins": [events.SummaryMetadata(tag).plugin_data.plugin_name for tag in events.Tags()["tensors"]],
  "wall_time": events.Scalars("train/loss")[0].wall_time,
}))`;
    const found = (await python!(program, join(outputDir, "runs", "tiny"))) as {
      scalars: object;
      texts: Record<string, string>;
      plugins: string[];
      wall_time: number;
    };
    const { fround } = Math;
    expect(found.scalars).toEqual({
      "train/loss": [
        [2, 0.5],
        [4, 0.125],
      ],
      "train/learning_rate": [[2, fround(3e-5)]],
      "train/epoch": [2, 4, 4, 5_000_000_000].map((step) => [step, step / 4]),
      "eval/loss": [[4, 0.5]],
      "eval/accuracy": [[4, 0.875]],
      "train/train_runtime": [[5_000_000_000, 12.5]],
      "train/train_loss": [[5_000_000_000, fround(0.3)]],
    });
    expect(found.plugins).toEqual(["text", "text"]);
    expect(found.texts["args/text_summary"]).toContain('"learning_rate": 0.00003,');
    expect(found.texts["model_config/text_summary"]).toContain('"model_type": "bert"');
    expect(Math.abs(found.wall_time - Date.now() / 1000)).toBeLessThan(60);
  });
});
