import { createHash } from "node:crypto";
import { copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { holdsNoTexts, notForTheHub, shareableFile } from "@gpugrad/bert";

/** What an upload is made of. */
export interface Parts {
  /** A checkpoint whose model takes the place of the output folder's. */
  model?: string | undefined;
  /** Checkpoints to upload whole, by their names in the repository. */
  checkpoints: Readonly<Record<string, string>>;
  /** Whether files are uploaded that may hold texts of the data. */
  texts: boolean;
}

/** A folder to upload; the caller deletes it. */
export interface Staged {
  folder: string;
  /** Files that may hold texts, and so are not in it. */
  leftOut: string[];
}

/**
 * A folder with what is to be uploaded, as hard links: training may delete its checkpoints meanwhile. What a checkpoint says of local paths is
 * made relative, and its list of checksums with it, so that it is whole when it is downloaded. The report goes without the texts that it quotes,
 * and what else may hold texts of the data stays here, unless they are asked for.
 */
export async function stage(outputDir: string, { model, checkpoints, texts }: Parts): Promise<Staged> {
  const output = resolve(outputDir);
  for (const name of await readdir(output))
    if (name.startsWith(PREFIX)) await rm(join(output, name), { recursive: true, force: true }); // a killed run's
  const folder = await mkdtemp(join(output, PREFIX));
  const leftOut: string[] = [];
  await linkAll(output, folder, (path) => {
    if (notForTheHub(path)) return true;
    if (texts || holdsNoTexts(path)) return false;
    leftOut.push(path);
    return true;
  });
  if (leftOut.includes(REPORT)) {
    const { withoutTexts } = await import("../report/page.ts"); // with its charts, for a report alone
    const shared = withoutTexts(await readFile(join(output, REPORT), "utf8"));
    if (shared !== undefined) {
      await writeFile(join(folder, REPORT), shared);
      leftOut.splice(leftOut.indexOf(REPORT), 1);
    }
  }
  const ofTheRun = (path: string): boolean => notForTheHub(path) || path === "trainer_state.json";
  if (model !== undefined) await linkAll(model, folder, ofTheRun);
  for (const [name, checkpoint] of Object.entries(checkpoints)) {
    await linkAll(checkpoint, join(folder, name), () => false);
    await withoutPaths(join(folder, name), output);
  }
  return { folder, leftOut };
}

const PREFIX = ".push-";
const REPORT = "report.html";

/** Links the files of `from` into `to`, over those that are there. */
async function linkAll(from: string, to: string, ignore: (path: string) => boolean): Promise<void> {
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = relative(from, join(entry.parentPath, entry.name));
    if (!entry.isFile() || ignore(path.replaceAll(sep, "/"))) continue;
    const target = join(to, path);
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
    await link(join(from, path), target).catch(() => copyFile(join(from, path), target)); // not every disk has links
  }
}

/** Makes the paths in a checkpoint's JSON files relative. */
async function withoutPaths(checkpoint: string, output: string): Promise<void> {
  const changed: Record<string, { size: number; sha256: string }> = {};
  for (const name of await readdir(checkpoint)) {
    const bytes = name.endsWith(".json") ? await readFile(join(checkpoint, name)) : undefined;
    const shared = bytes && shareableFile(name, bytes, output);
    if (shared === bytes || shared === undefined) continue;
    await replace(join(checkpoint, name), shared);
    changed[name] = { size: shared.length, sha256: createHash("sha256").update(shared).digest("hex") };
  }
  const seal = join(checkpoint, "checksums.json");
  const sealed = await readFile(seal, "utf8").catch(() => undefined);
  if (sealed === undefined || Object.keys(changed).length === 0) return;
  const { files } = JSON.parse(sealed) as { files: object };
  await replace(seal, `${JSON.stringify({ files: { ...files, ...changed } }, null, 2)}\n`);
}

/** Writes a file of its own in place of a link. */
async function replace(path: string, content: string | Uint8Array): Promise<void> {
  await rm(path);
  await writeFile(path, content);
}
