import { h } from "../dom.ts";
import { showWgsl } from "../wgsl.ts";
import { lineOf, type Model } from "./model.ts";
import "./step.css";
import { costOf, type Memory, type Step } from "./workgroup.ts";

/** Where in the code a step is: its piece of a line, and of which of several equal lines (`piece#1`). */
const placeOf = (code: string, at: string): number => {
  const [text, nth = "0"] = at.split("#");
  return lineOf(code, text!, Number(nth));
};

const shown = (value: number): string =>
  !Number.isFinite(value) || Math.abs(value) > 1e6
    ? value < 0
      ? "−∞"
      : "∞"
    : `${Math.round(value * 100) / 100}`.replace("-", "−");

/** Steps through a workgroup: its memories as heat maps, the lines of its kernel, and what each step costs. `show` takes another one. */
export function stepper(): { element: HTMLElement; show(model: Model): void; close(): void } {
  let model: Model;
  let position = 0;
  let playing: ReturnType<typeof setInterval> | undefined;
  let maps: { memory: Memory; cells: HTMLElement[]; caption: HTMLElement }[] = [];
  let lines: HTMLElement[] = [];
  let places: number[] = [];

  const slider = h("input", {
    type: "range",
    min: "0",
    className: "step-slider",
    oninput: () => goTo(Number(slider.value)),
    attrs: { "aria-label": "Step" },
  });
  const previous = h("button", { type: "button", onclick: () => goTo(position - 1) }, "Back");
  const next = h("button", { type: "button", className: "primary", onclick: () => goTo(position + 1) }, "Step");
  const toBarrier = h("button", { type: "button", onclick: () => goTo(nextBarrier()) }, "To the next barrier");
  const play = h("button", { type: "button", onclick: () => (playing ? stop() : start()) }, "Play");
  const end = h("button", { type: "button", onclick: () => goTo(model.steps.length) }, "To the end");
  const count = h("span", { className: "step-count" });
  const what = h("p", { className: "status", attrs: { role: "status" } });
  const verdict = h("p", { className: "verdict", attrs: { role: "status" } });
  const grids = h("div", { className: "step-grids" });
  const lanes = h("div", { className: "step-lanes", attrs: { role: "img" } });
  const code = h("pre", {
    className: "wgsl step-code",
    tabIndex: 0,
    attrs: { "aria-label": "The kernel's source", role: "region" },
  });
  const element = h(
    "div",
    { className: "stepper" },
    h("div", { className: "bar" }, previous, next, toBarrier, play, end, count),
    slider,
    what,
    verdict,
    h("div", { className: "step-columns" }, h("div", {}, lanes, grids), code),
  );

  function start(): void {
    if (position === model.steps.length) goTo(0);
    play.textContent = "Pause";
    playing = setInterval(() => (position < model.steps.length ? goTo(position + 1) : stop()), 250);
  }
  function stop(): void {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "Play";
  }

  function nextBarrier(): number {
    const found = model.steps.findIndex(({ kind }, i) => i >= position && kind === "barrier");
    return found < 0 ? model.steps.length : found + 1;
  }

  let codeShown = "";
  function show(given: Model): void {
    stop();
    model = given;
    places = model.steps.map(({ at }) => placeOf(model.code, at));
    grids.replaceChildren();
    maps = model.memories.map((memory) => {
      const caption = h("figcaption");
      const cells = Array.from({ length: memory.rows * memory.cols }, () => h("i"));
      const grid = h("div", { className: "grid", attrs: { role: "img", style: `--cols:${memory.cols}` } }, cells);
      grids.append(
        h("figure", { className: `memory ${memory.space}`, attrs: { "data-memory": memory.name } }, caption, grid),
      );
      return { memory, cells, caption };
    });
    lanes.replaceChildren(...Array.from({ length: model.invocations }, (_, lane) => h("i", {}, lane)));
    lanes.style.setProperty("--cols", `${model.side}`);
    slider.max = `${model.steps.length}`;
    if (codeShown !== model.code) {
      codeShown = model.code;
      showWgsl(code, model.code, (shown) => {
        lines = shown;
        markLines();
      });
    }
    goTo(Math.min(position, model.steps.length));
  }

  function goTo(to: number): void {
    position = Math.max(0, Math.min(model.steps.length, to));
    slider.value = `${position}`;
    count.textContent = `${position} of ${model.steps.length}`;
    previous.disabled = position === 0;
    next.disabled = toBarrier.disabled = end.disabled = position === model.steps.length;
    draw();
  }

  function draw(): void {
    const { steps, expected, line, banks } = model;
    const values = new Map(model.memories.map(({ name, data }) => [name, data.slice()]));
    const reads = new Map(model.memories.map(({ name, data }) => [name, new Float64Array(data.length)]));
    const written = new Set<number>();
    for (const step of steps.slice(0, position)) {
      for (const { index, value } of step.accesses) {
        if (step.kind === "read") reads.get(step.memory)![index]!++;
        else {
          values.get(step.memory)![index] = value;
          if (step.memory === expected.memory) written.add(index);
        }
      }
      for (const { memory, index, value } of step.registers) values.get(memory)![index] = value;
    }
    const now = steps[position - 1];
    const wrong = [...written].filter((i) => !(Math.abs(values.get(expected.memory)![i]! - expected.data[i]!) <= 1e-9));

    for (const { memory, cells, caption } of maps) {
      const { name, space, rows, cols, pitch } = memory;
      const data = values.get(name)!;
      const largest = Math.max(1e-9, ...Array.from(data, (v) => (Math.abs(v) > 1e6 ? 0 : Math.abs(v))));
      const here = now?.memory === name ? now : undefined;
      const touched = new Map(here?.accesses.map((access) => [access.index, access]));
      const fetched = here && here.kind === "read" ? costOf(here, space, { line, banks }).lines : new Set<number>();
      const changed = new Set(now?.registers.filter((r) => r.memory === name).map(({ index }) => index));
      const counts = reads.get(name)!;
      cells.forEach((cell, n) => {
        const index = Math.floor(n / cols) * pitch + (n % cols);
        const access = touched.get(index);
        const value = data[index]!;
        const elsewhere = name === expected.memory && !written.has(index) && Number.isNaN(expected.data[index]);
        cell.textContent = elsewhere ? "" : shown(value);
        cell.title = `${name}[${Math.floor(n / cols)}, ${n % cols}] = ${value}${space === "registers" ? "" : `; read ${counts[index]} times`}`;
        cell.style.setProperty("--heat", `${Math.min(1, Math.abs(value) / largest)}`);
        cell.style.setProperty("--bank", `${index % banks}`);
        cell.className = [
          value < 0 && "below",
          access && here!.kind,
          !access && fetched.has(Math.floor(index / line)) && "fetched",
          changed.has(index) && "changed",
          name === expected.memory && wrong.includes(index) && "wrong",
          elsewhere && "other",
        ]
          .filter(Boolean)
          .join(" ");
      });
      const total = counts.reduce((sum, c) => sum + c, 0);
      const different = counts.filter((c) => c > 0).length;
      const traffic = space === "registers" ? "in registers" : total > 0 ? `${total} reads of ${different} elements` : name === expected.memory ? `${written.size} written` : "not read yet"; // prettier-ignore
      caption.replaceChildren(h("b", {}, name), ` [${rows}, ${cols}] · ${traffic}`);
      cells[0]!.parentElement!.setAttribute("aria-label", `${name}, ${rows} by ${cols}: ${traffic}`);
    }
    [...lanes.children].forEach((cell, lane) => {
      cell.className = now?.lanes.includes(lane) ? now.kind : "";
    });
    lanes.setAttribute("aria-label", now ? `Invocations ${now.lanes.join(", ")}` : "No invocation has begun");

    markLines();
    what.replaceChildren(...sayStep(now));
    const finished = position === steps.length;
    verdict.className = `verdict ${wrong.length ? "wrong" : finished ? "right" : ""}`;
    verdict.textContent = wrong.length
      ? `${wrong.length} of ${written.size} elements of ${expected.memory} are wrong, by the formula in float64.`
      : finished
        ? `All ${written.size} elements of ${expected.memory} agree with the formula in float64.`
        : "";
  }

  /** The line of this step, and those that were taken out. */
  function markLines(): void {
    const current = places[position - 1];
    const removed = new Set(model.removed.map((at) => placeOf(model.code, at)));
    lines.forEach((text, i) => {
      text.classList.toggle("now", i === current);
      text.classList.toggle("removed", removed.has(i));
    });
    if (current !== undefined) scrollTo(lines[current]!);
  }

  /** Into view within the code alone: the page stays where it is. */
  function scrollTo(line: HTMLElement): void {
    const top = line.offsetTop;
    if (top < code.scrollTop + 20 || top > code.scrollTop + code.clientHeight - 40)
      code.scrollTop = top - code.clientHeight / 3;
  }

  function sayStep(step: Step | undefined): (string | HTMLElement)[] {
    if (!step)
      return [
        "Nothing has happened yet. Workgroup memory begins as zeros. Step, or drag the slider (arrow keys move it by one).",
      ];
    const who =
      step.lanes.length === 1 ? `Invocation ${step.lanes[0]}` : `Invocations ${step.lanes[0]} … ${step.lanes.at(-1)}`;
    if (step.kind === "barrier")
      return [
        h("b", {}, "Barrier. "),
        `${who} have all arrived, and continue together. What was written before is visible to all.`,
      ];
    const { space } = model.memories.find(({ name }) => name === step.memory)!;
    const { elements, lines: fetched, used, turns } = costOf(step, space, model);
    const verb = step.kind === "read" ? "read" : "write";
    const counted = `${elements} element${elements === 1 ? "" : "s"} of ${step.memory}`;
    const cost =
      space === "storage"
        ? `: ${fetched.size} line${fetched.size === 1 ? "" : "s"} of memory, ${Math.round(100 * used)} % of the bytes used.`
        : turns > 1
          ? `: ${turns} of them lie in one bank, so it takes ${turns} turns.`
          : `: no two different ones in one bank, one turn.`;
    const doing = `${who} ${step.lanes.length === 1 ? `${verb}s` : verb} ${counted}`;
    return [h("b", {}, doing), cost];
  }

  return { element, show, close: stop };
}

/** A labelled choice for the bar above a stepper. */
export function chooser<V extends string>(
  label: string,
  choices: Record<V, string>,
  onChange: (value: V) => void,
  value?: V,
) {
  const select = h(
    "select",
    { onchange: () => onChange(select.value as V) },
    Object.entries<string>(choices).map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
  );
  return h("label", {}, `${label} `, select);
}

/** A labelled switch. */
export function toggle(label: string, checked: boolean, onChange: (on: boolean) => void): HTMLLabelElement {
  const box = h("input", { type: "checkbox", checked, onchange: () => onChange(box.checked) });
  return h("label", { className: "toggle" }, box, ` ${label}`);
}
