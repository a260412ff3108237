import { fork, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Order } from "../../test/lock-racer.ts";
import { lockFolder } from "./lock.ts";

vi.mock("node:fs/promises", { spy: true });

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "gpugrad-lock-"))));
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const lock = (): string => join(folder, ".gpugrad.lock");
const claimOf = (path: string): string =>
  `${path}.${createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16)}`;
/** A process that has ended. */
const gone = spawnSync(process.execPath, ["-e", ""]).pid;
const leftBy = (owner: object): string => JSON.stringify({ pid: gone, host: hostname(), since: "then", ...owner });

/** Takes the lock and gives it back: nothing is left. */
async function comesAndGoes(): Promise<void> {
  await (
    await lockFolder(folder)
  )();
  expect(readdirSync(folder)).toEqual([]);
}

describe("a lock", () => {
  test("keeps a second run out, and lets it in afterwards", async () => {
    const release = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toThrow(`in use by another run: process ${process.pid} on ${hostname()}`);
    await release();
    await comesAndGoes();
  });

  test("is there with its content from the first moment on", async () => {
    const contents: string[] = [];
    const { link } = await vi.importActual<typeof fs>("node:fs/promises");
    vi.mocked(fs.link).mockImplementation(async (aside, path) => {
      contents.push(readFileSync(aside, "utf8"));
      return link(aside, path);
    });
    await comesAndGoes();
    expect(contents.map((content) => (JSON.parse(content) as { pid: number }).pid)).toEqual([process.pid]);
  });

  test.each([
    ["of a process that has ended", leftBy({})],
    ["of a process with this one's number that has ended", leftBy({ pid: process.pid })],
    ["of a process whose number another one has now", leftBy({ pid: process.ppid, started: "another boot 17" })],
    ["that was never written whole", ""],
    ["that was cut off", leftBy({}).slice(0, 20)],
    ["that names no process", leftBy({ pid: "5" })],
    ["that names every process", leftBy({ pid: -1 })],
  ])("%s is taken over", async (_, content) => {
    writeFileSync(lock(), content);
    await comesAndGoes();
  });

  test.each([
    ["of a process that is there", { pid: process.ppid }, `process ${process.ppid} on ${hostname()}, since then`],
    ["of another machine", { host: "elsewhere" }, `process ${gone} on elsewhere, since then`],
    ["of another machine, with this process' number", { host: "elsewhere", pid: process.pid }, "on elsewhere"],
  ])("%s stays", async (_, owner, said) => {
    writeFileSync(lock(), leftBy(owner));
    await expect(lockFolder(folder)).rejects.toThrow(said);
    expect(readFileSync(lock(), "utf8")).toBe(leftBy(owner));
    expect(readdirSync(folder)).toEqual([".gpugrad.lock"]);
  });

  test("is taken over after a crash in the middle of taking it over, and of taking that over", async () => {
    writeFileSync(lock(), leftBy({}));
    writeFileSync(claimOf(lock()), leftBy({ id: "claim" }));
    writeFileSync(claimOf(claimOf(lock())), leftBy({ id: "claim of the claim" }));
    writeFileSync(`${lock()}.0123abcd.tmp`, leftBy({ id: "written, not linked" }));
    await comesAndGoes();
  });

  test("is left to the process that is taking it over", async () => {
    writeFileSync(lock(), leftBy({}));
    writeFileSync(claimOf(lock()), leftBy({ pid: process.ppid }));
    await expect(lockFolder(folder)).rejects.toThrow(`process ${process.ppid}`);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  test("is not given back by a run that has lost it", async () => {
    const release = await lockFolder(folder);
    writeFileSync(lock(), leftBy({ pid: process.ppid })); // deleted by hand, and taken by another run
    await release();
    expect(readFileSync(lock(), "utf8")).toBe(leftBy({ pid: process.ppid }));
  });

  test("that couldn't be deleted when it was given back is taken over by a later run of the same process", async () => {
    const release = await lockFolder(folder);
    vi.mocked(fs.rm).mockRejectedValueOnce(Object.assign(new Error("read-only"), { code: "EROFS" }));
    await release();
    expect(readdirSync(folder)).toEqual([".gpugrad.lock"]);
    await comesAndGoes();
  });

  test("works where the file system has no hard links", async () => {
    vi.mocked(fs.link).mockRejectedValue(Object.assign(new Error("not supported"), { code: "EPERM" }));
    const release = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toThrow("in use by another run");
    await release();
    writeFileSync(lock(), leftBy({}));
    await comesAndGoes();
  });

  test("that can't be read says so", async () => {
    mkdirSync(lock());
    await expect(lockFolder(folder)).rejects.toThrow("EISDIR");
  });
});

describe("eight processes", () => {
  const PROCESSES = 8;
  let racers: ChildProcess[];
  const answer = (racer: ChildProcess): Promise<string> => new Promise((resolve) => racer.once("message", resolve));
  const ask = (racer: ChildProcess, order: Order): Promise<string> => {
    const answered = answer(racer);
    racer.send(order);
    return answered;
  };

  beforeAll(async () => {
    const program = fileURLToPath(new URL("../../test/lock-racer.ts", import.meta.url));
    const texts = pathToFileURL(join(program, "../../../../scripts/text-loader.mjs")).href;
    const execArgv = ["--import", import.meta.resolve("tsx"), "--import", texts];
    racers = Array.from({ length: PROCESSES }, () => fork(program, { execArgv }));
    await Promise.all(racers.map(answer));
  });
  afterAll(() => racers.forEach((racer) => racer.kill()));

  const STATES: Record<string, { rounds: number; make: () => void }> = {
    "no lock": { rounds: 200, make: () => undefined },
    "a stale lock": { rounds: 200, make: () => writeFileSync(lock(), leftBy({})) },
    "a stale lock that a process has crashed over": {
      rounds: 50,
      make: () => {
        writeFileSync(lock(), leftBy({}));
        writeFileSync(claimOf(lock()), leftBy({ id: "claim" }));
      },
    },
    "the lock of a process whose number another one has": {
      rounds: 50,
      make: () => writeFileSync(lock(), leftBy({ pid: process.pid, started: "another boot 17" })),
    },
  };
  test.each(Object.entries(STATES))(
    "want a folder with %s at once: one gets it, each time",
    async (_, { rounds, make }) => {
      for (let round = 0; round < rounds; round++) {
        make();
        const answers = await Promise.all(racers.map((racer) => ask(racer, { take: folder })));
        const holders = racers.filter((_, i) => answers[i] === "held");
        expect(holders, `round ${round}: ${answers.join(" · ")}`).toHaveLength(1);
        for (const word of answers) expect(word).toMatch(/^held$|: in use by another run: process \d+ on /);
        await ask(holders[0]!, { release: true });
        expect(readdirSync(folder)).toEqual([]);
      }
    },
  );

  test("take turns: never two at a time, and nothing is left", async () => {
    const counts = await Promise.all(racers.map((racer) => ask(racer, { turns: 100, folder })));
    const all = counts.map((text) => JSON.parse(text) as { taken: number; together: number });
    expect(all.reduce((sum, { together }) => sum + together, 0)).toBe(0);
    expect(all.reduce((sum, { taken }) => sum + taken, 0)).toBeGreaterThanOrEqual(PROCESSES);
    expect(readdirSync(folder)).toEqual([]);
  });
});
