import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { exitCodeOf, onStopSignal } from "./stop-signal.ts";

const signals = ["SIGINT", "SIGTERM"] as const;
const listeners = () => signals.map((signal) => process.listeners(signal));

let before: ReturnType<typeof listeners>;
beforeEach(() => {
  before = listeners();
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  for (const [i, signal] of signals.entries())
    for (const listener of process.listeners(signal)) if (!before[i]!.includes(listener)) process.off(signal, listener);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("a signal that comes twice within half a second, by the terminal and by the runner, is one; then a second one kills", () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true);
  const stop = vi.fn();
  const forget = onStopSignal(stop);
  process.emit("SIGINT", "SIGINT");
  vi.advanceTimersByTime(499);
  process.emit("SIGINT", "SIGINT");
  forget(); // an echo may still come, while the process ends
  process.emit("SIGINT", "SIGINT");
  expect(stop.mock.calls).toEqual([["SIGINT"]]);
  expect(kill).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  process.emit("SIGTERM", "SIGTERM");
  expect(kill.mock.calls).toEqual([[process.pid, "SIGKILL"]]);
});

it("stops listening when no signal came", () => {
  const forget = onStopSignal(vi.fn());
  expect(listeners()).not.toEqual(before);
  forget();
  expect(listeners()).toEqual(before);
});

it("ends as a shell would say it", () => {
  expect(signals.map(exitCodeOf)).toEqual([130, 143]);
});
