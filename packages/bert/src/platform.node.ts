export { clearOldCommits, fetchFolder, fetchFromHub, listHubFiles, openFolder } from "./hub/open.ts";
export { createRepo, notForTheHub, pushToHub } from "./hub/push.ts";
export { progressOnStderr } from "./hub/progress.ts";
export { withinTime } from "./tokenizer/time-limit.ts";
