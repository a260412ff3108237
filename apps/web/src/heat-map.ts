import { h } from "./dom.ts";

/** A tensor's numbers as squares, blue below zero and red above, with a table for what fits. Further dimensions are stacked below each other. */
export function heatMap({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }): HTMLElement {
  const cols = shape.at(-1) ?? 1;
  const rows = data.length / cols;
  const values = Array.from(data);
  const finite = values.filter(Number.isFinite);
  const largest = Math.max(1e-30, ...finite.map(Math.abs));
  const mean = finite.reduce((sum, v) => sum + v, 0) / (finite.length || 1);
  const summary =
    `${finite.length < values.length ? `${values.length - finite.length} not finite; ` : ""}` +
    `from ${number(Math.min(...finite))} to ${number(Math.max(...finite))}, mean ${number(mean)}`;
  const cell = Math.max(2, Math.min(26, Math.floor(300 / cols), Math.floor(300 / rows)));
  const canvas = h("canvas", {
    width: cols * cell,
    height: Math.min(4096, rows * cell),
    className: "heat-map",
    attrs: { role: "img", "aria-label": `[${shape.join(", ")}]: ${summary}` },
    onpointermove: (event) => {
      const { left, top, width } = canvas.getBoundingClientRect();
      const scale = canvas.width / width;
      const [row, col] = [((event.clientY - top) * scale) / cell, ((event.clientX - left) * scale) / cell].map(
        Math.floor,
      );
      const value = values[row! * cols + col!];
      if (value !== undefined) canvas.title = `[${row}, ${col}] ${number(value)}`;
    },
  });
  const context = canvas.getContext("2d")!;
  for (const [i, value] of values.entries()) {
    context.fillStyle = colour(value / largest);
    context.fillRect((i % cols) * cell, Math.floor(i / cols) * cell, cell - 1, cell - 1);
  }
  return h(
    "figure",
    { className: "heat" },
    canvas,
    h("figcaption", {}, values.length === 1 ? number(values[0]!) : summary),
  );
}

/** Blue for −1, nearly white for 0, red for 1; black for values that are not finite. */
function colour(share: number): string {
  if (!Number.isFinite(share)) return "#000";
  const strength = Math.sqrt(Math.abs(share));
  return `hsl(${share < 0 ? 215 : 8} 75% ${95 - 50 * strength}%)`;
}

const number = (value: number): string => (Number.isInteger(value) ? `${value}` : value.toPrecision(4));
