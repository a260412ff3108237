export { clearOldCommits, fetchFolder, fetchFromHub, listHubFiles, openFolder } from "./open.ts";
export { createRepo, notForTheHub, pushToHub } from "./push.ts";
export { progressOnStderr } from "./progress.ts";
