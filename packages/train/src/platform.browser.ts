import { DataError } from "./errors.ts";
import type * as node from "./platform.node.ts";

export const openDataFolder: typeof node.openDataFolder = (idOrPath) => {
  throw new DataError(
    `${idOrPath}: a browser has no file system. Pass the files by name, dataFolder({ "train.csv": file }), or rows, Dataset.fromRows(rows).`,
  );
};

/** A page keeps tokens in memory, and tokenizes on its own thread. */
export const saveTokenizer: typeof node.saveTokenizer = () => Promise.resolve(undefined);
export const tokenCache: typeof node.tokenCache = () => {
  throw new DataError("tokenCache: a browser has no file system.");
};
export const startWorkers: typeof node.startWorkers = () => Promise.resolve("a page has none");

const noFiles = (path: string): never => {
  throw new DataError(
    `${path}: a browser has no file system to keep a run in. Leave out outputDir, and save the model yourself.`,
  );
};

export type OutputFolder = node.OutputFolder;
export const OutputFolder = { open: noFiles } as unknown as typeof node.OutputFolder;
export const latestCheckpoint: typeof node.latestCheckpoint = noFiles;
export const checkOutputFolder: typeof node.checkOutputFolder = noFiles;
export const saveMetrics: typeof node.saveMetrics = noFiles;
export const saveElsewhere: typeof node.saveElsewhere = () => Promise.resolve(undefined);
export const exists: typeof node.exists = noFiles;
export const readJson: typeof node.readJson = noFiles;
export const writeJson: typeof node.writeJson = noFiles;

const noTracker = (): never => {
  throw new DataError(
    "reportTo, pushToHub: a browser has no file system to report from. Pass a callback with onLog instead.",
  );
};
export const csvTracker: typeof node.csvTracker = noTracker;
export const jsonlTracker: typeof node.jsonlTracker = noTracker;
export const tensorBoardTracker: typeof node.tensorBoardTracker = noTracker;
export const wandbTracker: typeof node.wandbTracker = noTracker;
export const reporters: typeof node.reporters = {};
export const modelCardCallback: typeof node.modelCardCallback = noTracker;
export const hubCallback: typeof node.hubCallback = noTracker;
