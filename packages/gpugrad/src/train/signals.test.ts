import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "gpugrad-signals-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A program that works until it is asked to stop, says so, and then takes `seconds` more; it leaves a file when it ends by itself. */
function programThatTakes(seconds: number): { file: string; ended: string } {
  const file = join(work, `takes-${seconds}.mts`);
  const ended = join(work, `ended-${seconds}`);
  writeFileSync(
    file,
    `import { writeFileSync } from "node:fs";
     import { exitCodeOf } from ${JSON.stringify(join(root, "packages/gpugrad/src/stop-signal.ts"))};
     import { stoppable } from ${JSON.stringify(join(root, "packages/gpugrad/src/train/signals.ts"))};
     let stop;
     const asked = new Promise((resolve) => (stop = resolve));
     const { signal } = await stoppable({ stop }, (line) => console.log(line), async () => {
       const alive = setInterval(() => undefined, 1000);
       console.log("working");
       await asked;
       await new Promise((resolve) => setTimeout(resolve, ${1000 * seconds}));
       clearInterval(alive);
     });
     writeFileSync(${JSON.stringify(ended)}, signal);
     process.exitCode = exitCodeOf(signal);`,
  );
  return { file, ended };
}

const runner = (file: string): string[] => [join(root, "scripts/run.mjs"), relative(root, file)];

/** Waits until a program has said `text`. */
function printed({ stdout }: ChildProcess, text: string): Promise<void> {
  let said = "";
  return new Promise((resolve) => {
    stdout!.on("data", (piece: Buffer) => {
      said += piece.toString();
      if (said.includes(text)) resolve();
    });
  });
}

const exitOf = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.on("close", resolve));

test("a signal to the runner alone lets the work end", async () => {
  const { file, ended } = programThatTakes(0.7);
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const child = spawn(process.execPath, runner(file));
    const exit = exitOf(child);
    await printed(child, "working");
    child.kill(signal);
    await printed(child, `${signal}: stopping after this update`);
    expect(await exit).toBe(code);
    expect(existsSync(ended)).toBe(true);
    rmSync(ended);
  } // prettier-ignore
});

test("a second signal ends it at once", async () => {
  const { file, ended } = programThatTakes(60);
  const child = spawn(process.execPath, runner(file));
  const exit = exitOf(child);
  await printed(child, "working");
  child.kill("SIGINT");
  await printed(child, "SIGINT: stopping");
  await new Promise((resolve) => setTimeout(resolve, 600));
  child.kill("SIGINT");
  expect(await exit).toBe(137);
  expect(existsSync(ended)).toBe(false);
});

test("a package manager's shell that is ended ends the program as SIGTERM does", async () => {
  const { file, ended } = programThatTakes(0);
  const words = [process.execPath, ...runner(file)].map((word) => `'${word}'`).join(" ");
  const env = { ...process.env, npm_lifecycle_event: "train" };
  const shell = spawn("/bin/sh", ["-c", `${words}; true`], { env }); // "; true": the shell stays, and doesn't become the runner
  const closed = exitOf(shell);
  await printed(shell, "working");
  shell.kill("SIGKILL");
  await closed; // when the program, too, has let go of stdout
  expect(existsSync(ended)).toBe(true);
});
