import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatNumber, formatRate, formatTable } from "./format.ts";
import { progressLine } from "./progress.ts";

test("durations, bytes and rates", () => {
  const seconds = [0, 0.4249, 0.9996, 9.996, 59.4, 59.6, 185, 3599.7, 7620, Infinity, NaN, -1];
  expect(seconds.map(formatDuration)).toEqual(
    ["0.00 s", "0.42 s", "1.0 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "2 h 07 min", "?", "?", "?"], // prettier-ignore
  );
  expect([0, 512, 1536, 1023 * 1024 + 900, 438_000_000, 2.2e9].map(formatBytes)).toEqual(
    ["0 B", "512 B", "1.50 KiB", "1.00 MiB", "418 MiB", "2.05 GiB"], // prettier-ignore
  );
  expect([0.5, 42, 999.6, 51_234, 3.2e6].map((rate) => formatRate(rate, "tokens"))).toEqual(
    ["0.50 tokens/s", "42 tokens/s", "1.00 k tokens/s", "51.2 k tokens/s", "3.20 M tokens/s"], // prettier-ignore
  );
});

test("numbers and tables", () => {
  expect([3, 0.81234, 12.3456, 4.9e-5, 0.001, -2.5, NaN].map(formatNumber)).toEqual(
    ["3", "0.8123", "12.35", "4.90e-5", "0.0010", "-2.5000", "NaN"], // prettier-ignore
  );
  expect(formatTable([["", "now"], ["accuracy", "1"], ["loss", "0.25"]])).toBe("             now\n  accuracy     1\n  loss      0.25"); // prettier-ignore
});

function recorder(isTTY: boolean, columns = 40) {
  let text = "";
  return { stream: { isTTY, columns, write: (piece: string) => void (text += piece) }, text: () => text };
}

test("a terminal's line is overwritten, cut to its width, and stays at the end", () => {
  const { stream, text } = recorder(true, 24);
  const line = progressLine(stream);
  line.update("step 1 and more than fits");
  line.update("step 2"); // too soon to be drawn
  line.update("step 3");
  line.done();
  line.update("again");
  line.done();
  expect(text()).toBe("\rstep 1 and more than fi\x1b[K\rstep 3\x1b[K\n\ragain\x1b[K\n");
});

test("lines of their own appear above the live one", () => {
  const { stream, text } = recorder(true, 24);
  const line = progressLine(stream);
  line.print("before");
  line.update("step 1");
  line.print("saved");
  line.done();
  expect(text()).toBe("before\n\rstep 1\x1b[K\r\x1b[Ksaved\n\rstep 1\x1b[K\n");
});

test("a log gets the first line, one in a while, and the last", () => {
  const { stream, text } = recorder(false);
  const line = progressLine(stream, { everySeconds: 3600 });
  for (let i = 1; i <= 5; i++) line.update(`step ${i}`);
  line.done();
  line.done();
  expect(text()).toBe("step 1\nstep 5\n");
  const eager = recorder(false);
  const every = progressLine(eager.stream, { everySeconds: 0 });
  for (let i = 1; i <= 3; i++) every.update(`step ${i}`);
  every.done();
  expect(eager.text()).toBe("step 1\nstep 2\nstep 3\n");
});
