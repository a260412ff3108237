/** Trains in a worker, so that the page stays free: requests in, events out. */
import { init } from "@gpugrad/tensor";
import { freshRecord, type PlayAnswer, type PlayRequest, type RunRecord } from "./events.ts";
import { Job } from "./job.ts";
import {
  checkpointOf,
  keepFiles,
  keepRecord,
  keptFiles,
  listRuns,
  modelFilesOf,
  readRecord,
  removeRun,
  runFolder,
} from "./run-folder.ts";

const answer = (message: PlayAnswer): void => postMessage(message);
let job: Job | undefined;

addEventListener("message", ({ data }: MessageEvent<PlayRequest>) => {
  void handle(data).catch((error: unknown) =>
    answer({ type: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
});

async function handle(request: PlayRequest): Promise<void> {
  switch (request.type) {
    case "start": {
      const { id, settings, files, modelFiles } = request;
      await removeRun(id);
      await keepFiles(id, files);
      return train(freshRecord(id, settings), files, modelFiles);
    }
    case "resume": {
      const record = await readRecord(request.id);
      if (!record) throw new Error(`${request.id}: there is no such run.`);
      return train(record, await keptFiles(request.id), [], await checkpointOf(request.id));
    }
    case "stop":
      return job?.stop(request.as);
    case "look":
      if (!job) return;
      job.record.settings.sentence = request.sentence;
      delete job.record.first;
      return job.look();
    case "runs":
      return answer({ type: "runs", runs: await listRuns() });
    case "remove":
      await removeRun(request.id);
      return answer({ type: "runs", runs: await listRuns() });
    case "export":
      return answer({ type: "exported", id: request.id, files: await modelFilesOf(request.id) });
  }
}

async function train(record: RunRecord, files: File[], modelFiles: File[], resumeFrom?: string): Promise<void> {
  const { adapter } = await init();
  job = await Job.open(record, {
    ...{ files, modelFiles, folder: runFolder(record.id), resumeFrom, device: adapter.description },
    ...{ emit: answer, keep: keepRecord },
  });
  await job.run();
  answer({ type: "runs", runs: await listRuns() });
}
