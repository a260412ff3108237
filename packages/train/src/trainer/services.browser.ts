import { DataError } from "../errors.ts";
import type * as node from "./services.node.ts";

const noFiles = (path: string): never => {
  throw new DataError(
    `${path}: a browser has no file system to keep a run in. Leave out outputDir, and save the model yourself.`,
  );
};
export const latestCheckpoint: typeof node.latestCheckpoint = noFiles;
export const checkOutputFolder: typeof node.checkOutputFolder = noFiles;

const noTracker = (): never => {
  throw new DataError(
    "reportTo, pushToHub: a browser has no file system to report from. Pass a callback with onLog instead.",
  );
};
export const csvTracker: typeof node.csvTracker = noTracker;
export const jsonlTracker: typeof node.jsonlTracker = noTracker;
export const tensorBoardTracker: typeof node.tensorBoardTracker = noTracker;
export const wandbTracker: typeof node.wandbTracker = noTracker;
export const modelCardCallback: typeof node.modelCardCallback = noTracker;
export const hubCallback: typeof node.hubCallback = noTracker;

/** A page has none of them: it passes callbacks. */
export const services: typeof node.services = {
  reporters: {},
  ...{ modelCard: noTracker, hub: noTracker, openRun: noFiles, saveMetrics: noFiles },
  saveElsewhere: () => Promise.resolve(undefined),
};
