import { Presets, SingleBar } from "cli-progress";
import type { OnProgress } from "../opener.ts";

export const formatSize = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
/** Smaller files are named when they have arrived. */
const announcedFrom = 5e6;
const lineEveryMs = 10_000;

/** A terminal or a file; not Node's type, which users' declarations need not have. */
interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Reports downloads and uploads on stderr: a bar where that is a terminal, a line at the start, every ten seconds and at the end elsewhere. */
export function progressOnStderr(stream: Output = process.stderr): OnProgress {
  const write = (text: string) => void stream.write(`${text}\n`);
  return stream.isTTY ? withBars(stream, write) : withLines(write);
}

function withLines(write: (text: string) => void): OnProgress {
  const lastLine = new Map<string, number>();
  const uploads = new Set<string>();
  return ({ repo, file, loaded, total, status, message }) => {
    if (status === "note") return write(message ?? "");
    if (status === "uploading") uploads.add(file);
    if (status === "downloading") uploads.delete(file);
    const verb = uploads.has(file) ? "Upload" : "Download";
    if (status === "downloading" || status === "uploading") {
      const now = Date.now();
      if (total < announcedFrom || now - (lastLine.get(file) ?? 0) < lineEveryMs) return;
      lastLine.set(file, now);
      write(`${verb}ing ${repo} ${file}: ${formatSize(loaded)} of ${formatSize(total)}`);
    } else {
      lastLine.delete(file);
      if (status === "done") write(`${verb}ed ${repo} ${file}: ${formatSize(total)}`);
    }
  };
}

function withBars(stream: Output, write: (text: string) => void): OnProgress {
  const bars = new Map<string, SingleBar>();
  return ({ file, loaded, total, status, message }) => {
    let bar = bars.get(file);
    if (status === "note") {
      if (message) write(`\n${message}`);
    } else if (status === "downloading" || status === "uploading") {
      if (!bar) {
        const format = `${file} {bar} {percentage}% of ${formatSize(total)} · {eta_formatted} left`;
        bars.set(
          file,
          (bar = new SingleBar(
            { format, stream: stream as NodeJS.WriteStream, hideCursor: true },
            Presets.shades_classic,
          )),
        );
        bar.start(total, loaded);
      }
      bar.update(loaded);
    } else {
      bar?.update(loaded);
      bar?.stop(); // its timer would keep the process alive
      bars.delete(file);
    }
  };
}
