import { openGpu } from "../gpu.ts";
import { h, svg } from "../dom.ts";
import { heatMap } from "../heat-map.ts";
import { withoutGpu } from "../without-gpu.ts";
import { TAPE_EXAMPLES } from "./examples.ts";
import { recordTape, type TapeRow, type Values } from "./record.ts";

const ROW = 34;
const LANE = 11;

/** Code to edit, the tape that it records, and backward one step at a time. `example`: the name of what to begin with. */
export function mount(root: HTMLElement, example: unknown): () => void {
  const first = typeof example === "string" ? example : Object.keys(TAPE_EXAMPLES)[0]!;
  let rows: TapeRow[] = [];
  /** How many gradients have arrived; the drawing shows those. */
  let step = 0;
  let selected = 0;

  const editor = h("textarea", {
    className: "code",
    spellcheck: false,
    rows: 12,
    value: TAPE_EXAMPLES[first]!,
    attrs: { "aria-label": "Code that returns a loss" },
  });
  const choose = h(
    "select",
    { onchange: () => ((editor.value = TAPE_EXAMPLES[choose.value]!), run()), attrs: { "aria-label": "Example" } },
    Object.keys(TAPE_EXAMPLES).map((name) => h("option", { selected: name === first }, name)),
  );
  const status = h("p", { className: "status", attrs: { role: "status" } });
  const list = h("ol", { className: "tape-rows" });
  const arrows = svg("svg", { class: "tape-arrows", "aria-hidden": "true" });
  const detail = h("div", { className: "tape-detail" });
  const slider = h("input", {
    type: "range",
    min: "0",
    oninput: () => goTo(Number(slider.value)),
    attrs: { "aria-label": "Steps of backward" },
  });
  const position = h("span");
  const back = h("button", { type: "button", onclick: () => goTo(step + 1) }, "Step backward");
  const undo = h("button", { type: "button", onclick: () => goTo(step - 1) }, "Undo a step");
  const runButton = h("button", { type: "button", className: "primary", onclick: () => run() }, "Run");

  root.replaceChildren(
    h("div", { className: "bar" }, choose, runButton),
    editor,
    status,
    h("div", { className: "bar" }, undo, back, slider, position),
    h("div", { className: "tape-columns" }, h("div", { className: "tape-graph" }, arrows, list), detail),
  );
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });

  /** Runs the code. Of two runs at once the later one counts. */
  let latest = 0;
  function run(): void {
    const mine = ++latest;
    status.textContent = "Running …";
    runButton.disabled = true;
    openGpu()
      .then(() => recordTape(editor.value))
      .then((recorded) => {
        if (mine !== latest) return;
        rows = recorded;
        const leaves = rows.filter(({ leaf }) => leaf).length;
        const firstNaN = rows.find(({ value }) => hasNaN(value));
        const [firstGradient] = rows
          .filter(({ gradient }) => gradient && hasNaN(gradient))
          .sort((a, b) => a.order! - b.order!);
        status.textContent =
          `${rows.length - leaves} steps, ${leaves} leaves.` +
          (firstNaN
            ? ` The first value that is not a number: ${firstNaN.name}, row ${rows.indexOf(firstNaN) + 1}.`
            : firstGradient
              ? ` The first gradient that is not a number arrives at ${firstGradient.name}, row ${rows.indexOf(firstGradient) + 1}.`
              : "");
        selected = firstNaN ? rows.indexOf(firstNaN) : rows.length - 1;
        goTo(0);
      })
      .catch((error: Error) => {
        if (mine === latest) status.replaceChildren(withoutGpu(error) ?? error.message);
      })
      .finally(() => (runButton.disabled = mine !== latest ? runButton.disabled : false));
  }

  function goTo(next: number): void {
    const arrived = rows.filter(({ order }) => order !== undefined).length;
    step = Math.max(0, Math.min(arrived, next));
    slider.max = `${arrived}`;
    slider.value = `${step}`;
    position.textContent = `${step} of ${arrived} gradients`;
    back.disabled = step === arrived;
    undo.disabled = step === 0;
    if (step > 0) selected = rows.findIndex(({ order }) => order === step - 1);
    draw();
  }

  const shownGradient = (row: TapeRow) => (row.order !== undefined && row.order < step ? row.gradient : undefined);

  function draw(): void {
    list.replaceChildren(
      ...rows.map((row, i) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              className: [
                "tape-row",
                row.leaf && "leaf",
                (hasNaN(row.value) || hasNaN(shownGradient(row) ?? { shape: [], data: [] })) && "nan",
                shownGradient(row) && "arrived",
                row.order === step - 1 && "now",
              ]
                .filter(Boolean)
                .join(" "),
              onclick: () => ((selected = i), draw()),
              attrs: { "aria-pressed": `${i === selected}` },
            },
            h("b", {}, row.name),
            h("span", {}, ` [${row.shape.join(", ")}]`),
          ),
        ),
      ),
    );
    const width = 4 + LANE * Math.max(1, ...rows.flatMap(({ inputs }, i) => inputs.map(({ row }) => lane(i - row))));
    arrows.replaceChildren(
      ...rows.flatMap(({ inputs }, to) =>
        inputs.map(({ row: from, name }) => {
          const [y1, y2, x] = [from * ROW + ROW / 2, to * ROW + ROW / 2 - 4, width - LANE * lane(to - from)];
          const flowing = rows[to]!.order === step - 1;
          return svg(
            "path",
            { d: `M${width} ${y1}C${x} ${y1} ${x} ${y2} ${width} ${y2}`, class: flowing ? "flowing" : "" },
            svg("title", {}, name),
          );
        }),
      ),
    );
    arrows.setAttribute("width", `${width}`);
    arrows.setAttribute("height", `${rows.length * ROW}`);
    const row = rows[selected];
    if (!row) return detail.replaceChildren();
    const gradient = shownGradient(row);
    detail.replaceChildren(
      h("h3", {}, row.name),
      h(
        "p",
        {},
        row.leaf
          ? "A leaf: its gradient is added up in .grad."
          : `Made from ${row.inputs.map(({ name, row: i }) => `${name} (row ${i + 1}: ${rows[i]!.name})`).join(", ")}.`,
      ),
      h("h4", {}, "Value"),
      heatMap(row.value),
      h("h4", {}, "Gradient of the loss"),
      gradient ? heatMap(gradient) : h("p", {}, row.gradient ? "Has not arrived yet." : "None arrives here."),
    );
  }

  run();
  return () => void latest++;
}

/** How far to the left an arrow bends: further for a longer way. */
const lane = (distance: number): number => 1 + Math.min(6, Math.floor(Math.log2(distance)));

const hasNaN = ({ data }: Values): boolean => Array.prototype.some.call(data, (v: number) => !Number.isFinite(v));
