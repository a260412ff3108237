import { originFile, originFolder, readJson, localFolder, removeOrigin, writeFileAside } from "@gpugrad/bert";
import { latestCheckpoint } from "@gpugrad/train";
import type { RunRecord } from "./events.ts";

/** Where runs are kept: the browser's file system for this site. */
const RUNS = "runs";

export const runFolder = (id: string): string => `${RUNS}/${id}`;

const recordFile = (id: string): string => `${runFolder(id)}/run.json`;

export const keepRecord = (record: RunRecord): Promise<void> =>
  writeFileAside(
    recordFile(record.id),
    JSON.stringify(record, (_, value: unknown) => (value instanceof Float32Array ? Array.from(value) : value)),
  );

/** A run as it was kept; undefined where there is none. */
export async function readRecord(id: string): Promise<RunRecord | undefined> {
  const folder = await localFolder(runFolder(id));
  return (folder && (await readJson(folder, "run.json"))) as RunRecord | undefined;
}

/** All runs, newest first. One whose tab was closed while it trained is paused at its newest checkpoint. */
export async function listRuns(): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  for await (const id of (await originFolder(RUNS))?.keys() ?? []) {
    const record = await readRecord(id).catch(() => undefined);
    if (record) runs.push(record);
  }
  return runs.sort((a, b) => b.startedAt - a.startedAt);
}

export const removeRun = (id: string): Promise<void> => removeOrigin(runFolder(id));

/** The newest whole checkpoint of a run. */
export const checkpointOf = async (id: string): Promise<string | undefined> =>
  (await latestCheckpoint(runFolder(id)))?.path;

/** Keeps files that a run was given, for when it is continued. */
export async function keepFiles(id: string, files: readonly File[]): Promise<void> {
  for (const file of files) await writeFileAside(`${runFolder(id)}/data/${file.name}`, file.stream());
}

export async function keptFiles(id: string): Promise<File[]> {
  const folder = `${runFolder(id)}/data`;
  const files: File[] = [];
  for await (const name of (await originFolder(folder))?.keys() ?? [])
    files.push(await (await originFile(`${folder}/${name}`))!.getFile());
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What others open of a checkpoint: model and tokenizer, without what only resuming needs. */
export async function modelFilesOf(id: string): Promise<Record<string, Blob>> {
  const folder = await checkpointOf(id);
  if (folder === undefined) throw new Error(`${id}: there is no checkpoint to export yet.`);
  const found: Record<string, Blob> = {};
  for await (const name of (await originFolder(folder))!.keys()) {
    if (/^(optimizer|scheduler|rng_state|progress|scaler|checksums|trainer_state)/.test(name)) continue;
    found[name] = await (await originFile(`${folder}/${name}`))!.getFile();
  }
  return found;
}
