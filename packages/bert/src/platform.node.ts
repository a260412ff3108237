export { openFile, writeFileAside } from "./file-system.ts";
export { clearOldCommits, fetchFolder, fetchFromHub, listHubFiles, openFolder } from "./hub.ts";
export { createRepo, notForTheHub, pushToHub } from "./hub-push.ts";
export { progressOnStderr } from "./hub-progress.ts";
export { withinTime } from "./time-limit.ts";
