import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import type { TrackerOptions } from "../trackers/tracker.ts";
import type { TrainerCallback } from "../trainer/callbacks.ts";
import { environment } from "./environment.ts";
import { reportRecorder } from "./recorder.ts";

/** Milliseconds between two writes at least. */
const PAUSE = 5000;
/** And this many times as long as a write took: it may cost a run at most 2 %. */
const PAUSE_PER_WRITE = 50;

/**
 * Writes `report.html` into the output folder while a model trains: what it was given, how it went, what the model gets wrong. The page needs
 * nothing else, and an open one loads itself again until training ends. A resumed run continues with the page that is there. Its title is
 * `runName`, or the folder's name.
 */
export function htmlReport({ outputDir, runName, warn = console.warn }: TrackerOptions): TrainerCallback {
  const file = join(outputDir, "report.html");
  const place = {
    folder: basename(resolve(outputDir)),
    read: () => readFile(file, "utf8").catch(() => ""),
    ...pagesTo(file, warn),
    hasModel: () =>
      ["model.safetensors", "adapter_model.safetensors"].some((name) => existsSync(join(outputDir, name))),
    environment,
    rssBytes: () => process.memoryUsage.rss(),
  };
  return reportRecorder(place, { runName, warn });
}

/**
 * Writes pages to a file, each as a whole: aside, then renamed. What is offered is written when enough time has passed since the page before;
 * only the newest counts. A page that can't be written does not end a run: it gives one warning.
 */
function pagesTo(
  file: string,
  warn: (message: string) => void,
): {
  offer: (render: () => Promise<string>) => void;
  write: (render: () => Promise<string>) => Promise<void>;
} {
  let waiting: NodeJS.Timeout | undefined;
  let notBefore = 0;
  let writing = Promise.resolve();
  let failed = false;
  const write = (render: () => Promise<string>): Promise<void> => {
    clearTimeout(waiting);
    waiting = undefined;
    writing = writing.then(async () => {
      const start = performance.now();
      try {
        const html = await render();
        const took = performance.now() - start;
        notBefore = start + Math.max(PAUSE, PAUSE_PER_WRITE * took);
        await mkdir(join(file, ".."), { recursive: true });
        await writeFile(`${file}.tmp`, html); // always one name: what a killed run leaves, the next writes over
        await rename(`${file}.tmp`, file);
      } catch (error) {
        if (!failed) warn(`${file}: the report can't be written: ${(error as Error).message}. The run continues.`);
        failed = true;
      }
    });
    return writing;
  };
  const offer = (render: () => Promise<string>): void => {
    if (waiting) return;
    waiting = setTimeout(() => void write(render), Math.max(0, notBefore - performance.now()));
    waiting.unref();
  };
  return { offer, write };
}
