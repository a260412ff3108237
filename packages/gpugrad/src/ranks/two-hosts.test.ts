// Two hosts with addresses of their own, which are network namespaces of this machine: Open MPI's daemons and ranks speak over TCP.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { launchers } from "../../../../scripts/launchers.ts";
import { twoHosts, type TwoHosts } from "../../../../scripts/two-hosts.ts";
import { captured } from "../../test/captured.ts";
import { tinyRun } from "../../test/tiny-run.ts";
import { train } from "../commands/train.ts";

const hosts = ((): TwoHosts | undefined => {
  try {
    if (launchers.some(({ name }) => name === "Open MPI")) return twoHosts();
    console.warn("No Open MPI here: the test of two hosts is skipped.");
  } catch (error) {
    console.warn(`No network namespaces here, so the test of two hosts is skipped: ${(error as Error).message}`);
  }
  return undefined;
})();

const dir = mkdtempSync(join(tmpdir(), "gpugrad-hosts-"));
afterAll(() => {
  hosts?.close();
  rmSync(dir, { recursive: true, force: true });
});
const at = (name: string): string => join(dir, name);

test.skipIf(!hosts)(
  "a rank on each of two hosts: the losses of one process, and gradients alone on the wire",
  async () => {
    const UPDATES = 12;
    const options = [
      ...(await tinyRun(at("model"))),
      "--max_steps",
      String(UPDATES),
      "--dropout",
      "0",
      "--eval_strategy",
      "no",
    ];
    const run = (name: string, batch: number): string[] => [
      ...[...options, "--output_dir", at(name), "--loss_trace", at(`${name}.jsonl`)],
      ...["--per_device_train_batch_size", String(batch)],
    ];
    const losses = (name: string): number[] =>
      Array.from(readFileSync(at(`${name}.jsonl`), "utf8").matchAll(/"loss":([^,]+)/g), ([, loss]) => Number(loss));
    await captured(() => train(run("alone", 8)));
    const { code, stderr } = await hosts!.run(["packages/gpugrad/src/cli.ts", "train", ...run("hosts", 4)]);
    expect(code, stderr).toBe(0);
    expect(losses("hosts")).toHaveLength(UPDATES);
    losses("alone").forEach((loss, i) => expect(losses("hosts")[i]).toBeCloseTo(loss, 5));
    expect(stderr, "each has a machine of its own").not.toMatch("compute on the same processor");
    const weights = readFileSync(at("model/model.safetensors"));
    const gradients = UPDATES * (weights.byteLength - 8 - Number(weights.readBigUInt64LE()));
    expect(hosts!.sentBytes()).toBeGreaterThan(gradients);
    expect(hosts!.sentBytes()).toBeLessThan(1.5 * gradients + 200_000); // with what daemons and ranks say at the start
  },
);
