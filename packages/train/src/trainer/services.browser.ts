import { OriginStore } from "../checkpoint/origin-store.ts";
import { DataError } from "../errors.ts";
import type * as node from "./services.node.ts";

const notHere = (): never => {
  throw new DataError(
    "reportTo, pushToHub, saveMetrics(): a browser has none of them. Pass a callback with onLog instead.",
  );
};
export const checkOutputFolder: typeof node.checkOutputFolder = notHere;
export const csvTracker: typeof node.csvTracker = notHere;
export const jsonlTracker: typeof node.jsonlTracker = notHere;
export const tensorBoardTracker: typeof node.tensorBoardTracker = notHere;
export const wandbTracker: typeof node.wandbTracker = notHere;
export const modelCardCallback: typeof node.modelCardCallback = notHere;
export const hubCallback: typeof node.hubCallback = notHere;

export const latestCheckpoint: typeof node.latestCheckpoint = (outputDir) => OriginStore.latest(outputDir);

/** A page keeps checkpoints in the browser's file system for its site. For the rest it passes callbacks. */
export const services: typeof node.services = {
  reporters: {},
  modelCard: () => ({}),
  hub: notHere,
  openRun: (outputDir) => OriginStore.open(outputDir),
  saveElsewhere: () => Promise.resolve(undefined),
  saveMetrics: notHere,
};
