import { visible } from "@gpugrad/tensor";

/** Where progress is shown: stderr, as a rule. */
export type ProgressStream = {
  isTTY?: boolean | undefined;
  columns?: number | undefined;
  write(text: string): unknown;
};

/** A line that says how far a long piece of work has come. */
export type ProgressLine = {
  /** Shows `text` in place of what was there. */
  update(text: string): void;
  /** Writes lines of their own, above the live one. */
  print(text: string): void;
  /** Leaves the last text standing; a later `update` starts a new line. */
  done(): void;
};

/** A terminal shows at most ten changes a second. */
const REDRAW_MS = 100;

/**
 * A live line on a terminal; elsewhere (a file, a CI log) a plain line at once, every `everySeconds` (default 10), and the
 * last one at the end. In a browser, nothing.
 */
export function progressLine(
  stream: ProgressStream | undefined = globalThis.process?.stderr,
  { everySeconds = 10 }: { everySeconds?: number } = {},
): ProgressLine {
  const isLive = stream?.isTTY === true;
  const interval = isLive ? REDRAW_MS : 1000 * everySeconds;
  let shownAt = -Infinity;
  let shown = "";
  let latest = "";
  const show = (): void => {
    const room = Math.max((stream?.columns ?? 80) - 1, 20); // a line that wraps could not be overwritten
    stream?.write(isLive ? `\r${latest.slice(0, room)}\x1b[K` : `${latest}\n`);
    shown = latest;
    shownAt = performance.now();
  };
  return {
    update(text) {
      latest = isLive ? visible(text) : text;
      if (performance.now() - shownAt >= interval) show();
    },
    print(text) {
      const isInTheWay = isLive && shown !== "";
      stream?.write(`${isInTheWay ? "\r\x1b[K" : ""}${isLive ? visible(text) : text}\n`);
      if (isInTheWay) show();
    },
    done() {
      if (latest !== shown) show();
      if (isLive && shown !== "") stream.write("\n");
      shown = latest = "";
      shownAt = -Infinity;
    },
  };
}
