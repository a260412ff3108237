import { addressOf, h } from "../dom.ts";
import { withoutGpu } from "../without-gpu.ts";
import { drawing, termsOf, type Part } from "./drawing.ts";
import { editor } from "./editor.ts";
import { compilersOf } from "./compilers.ts";
import "./explore.css";
import { invariantsOf } from "./invariants.ts";
import { Lab } from "./lab.ts";
import { firstSizes, OPS } from "./ops.ts";
import type { AdapterFacts, Answers, Job, OpName, Pass, Reach, RungInfo } from "./protocol.ts";
import { withFollowing } from "./launch.ts";
import { settingsOf, stopsFor, withSettings, type Setting } from "./source.ts";

type Row = NonNullable<Answers["measure"]["row"]>;

/** Text of the pages of docs/ that hold tables of compilers. */
const pages = import.meta.glob<string>("../../../../docs/kernels/*.md", { query: "?raw", import: "default" });

/** The drawings of these pages: of a backward, if it has one of its own. */
const drawings = import.meta.glob<string>("../../../../docs/kernels/*.svg", { query: "?raw", import: "default" });

const number = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** What to begin with: an op, or one of its passes, and the rung whose source is shown. */
type Options = OpName | { op: OpName; pass?: Pass; rung?: string };

/** The ladder of one op: its sources, timed on this machine against the machine's limits. */
export function mount(root: HTMLElement, options: unknown): () => void {
  const { op, pass: firstPass = "forward", rung: firstRung } = (typeof options === "string" ? { op: options } : options) as Exclude<Options, string>; // prettier-ignore
  const page = OPS[op];
  const lab = new Lab();
  let closed = false;
  let facts: AdapterFacts | undefined;
  let reach: Reach | undefined;
  let rungs: RungInfo[] = [];
  let results = new Map<string, Row | string>();
  /** The place of the rung whose source is shown; −1 before there are any. */
  let selected = -1;
  let file = 0;
  let busy = false;
  /** Sizes or the pass have changed since, so the rungs are to be asked again. */
  let stale = false;
  const job: Job = { op, pass: firstPass, sizes: firstSizes(page, true) };

  const status = h("p", { className: "status", attrs: { role: "status" } });
  const run = h("button", { type: "button", className: "primary", onclick: () => void measureAll() }, "Run on this machine"); // prettier-ignore
  const stop = h("button", { type: "button", disabled: true, onclick: () => lab.stop() }, "Stop");
  const sliders = h("div", { className: "explore-sizes" });
  const table = h("div", { className: "explore-table", tabIndex: 0, attrs: { role: "region", "aria-label": "The ladder" } }); // prettier-ignore
  const files = h("div", { className: "bar" });
  const settings = h("div", { className: "explore-settings" });
  const rules = h("ul", { className: "explore-rules" });
  const source = editor(
    () => drawSettings(),
    (line, column) => {
      const text = source.value.split("\n")[line]!;
      const here = [...termsOf(text, picture.parts)].find(({ start, end }) => start <= column && column <= end);
      picture.point(here?.part);
      source.showParts(picture.parts, here?.part);
      for (const row of settings.children) row.classList.toggle("here", row.getAttribute("data-line") === `${line}`);
    },
  );
  const caption = h("figcaption", {}, "Words that are underlined in the source's comments are in this drawing of ", h("a", { href: addressOf(`kernels/${page.page}.html`) }, "the page about the ladder"), ": click on one, or on the drawing."); // prettier-ignore
  const picture = drawing(caption, (part: Part | undefined) => {
    source.showParts(picture.parts, part);
    const lines = source.value.split("\n");
    const first = lines.findIndex((line) => part && [...termsOf(line, [part])].length > 0);
    if (first >= 0) source.showLine(first);
  });
  const runSource = h("button", { type: "button", className: "primary", onclick: () => void measureSource() }, "Run this source"); // prettier-ignore
  const reset = h("button", { type: "button", onclick: () => showSource() }, "As it ships");
  const outcome = h("div", { className: "explore-outcome", attrs: { role: "status" } });
  const compilers = h("div");
  const pass = h(
    "select",
    {
      onchange: () => ((job.pass = pass.value as Pass), void drawPicture(), void describe()),
      attrs: { "aria-label": "Pass" },
    },
    page.passes.map((name) => h("option", { selected: name === firstPass }, name)),
  );

  root.replaceChildren(
    h("p", { className: "explore-formula" }, page.says),
    h("div", { className: "bar" }, page.passes.length > 1 && pass, run, stop),
    ...[sliders, status, table],
    h("h2", { className: "explore-heading" }, "The source, as it runs here"),
    ...[files, settings, rules, picture.element],
    source.element,
    h("div", { className: "bar" }, runSource, reset),
    ...[outcome, compilers],
  );

  function drawSizes(): void {
    sliders.replaceChildren(
      ...page.sizes.map(({ name, values }) => {
        const shown = h("output", {}, `${job.sizes[name]}`);
        const slider = h("input", {
          ...{ type: "range", min: "0", max: `${values.length - 1}`, value: `${values.indexOf(job.sizes[name]!)}` },
          oninput: () => {
            job.sizes[name] = values[Number(slider.value)]!;
            shown.textContent = `${job.sizes[name]}`;
          },
          onchange: () => void describe(),
          attrs: { "aria-label": name, "aria-valuetext": `${job.sizes[name]}` },
        });
        return h("label", {}, h("b", {}, name), slider, shown);
      }),
    );
  }

  /** Does `work` with the buttons off, and says what went wrong. */
  async function busyWith(text: string, work: () => Promise<void>): Promise<void> {
    if (busy) return;
    busy = true;
    status.textContent = text;
    [run.disabled, runSource.disabled, stop.disabled] = [true, true, false];
    try {
      await work();
    } catch (error) {
      if (!closed) status.replaceChildren(withoutGpu(error as Error) ?? (error as Error).message);
    } finally {
      busy = false;
      [run.disabled, runSource.disabled, stop.disabled] = [rungs.length === 0, rungs.length === 0, true];
    }
    if (stale && facts && !closed) await describe();
  }

  /** Finds out which rungs there are for these sizes, and what they run. */
  const describe = (): Promise<void> => {
    stale = busy;
    return busyWith("Asking each rung for its kernels …", async () => {
      results = new Map();
      rungs = await lab.ask<"describe">({ type: "describe", job: structuredClone(job) });
      if (selected < 0)
        selected = Math.max(
          0,
          rungs.findIndex(({ name }) => name === firstRung),
        );
      selected = Math.min(selected, rungs.length - 1);
      if (!rungs[selected]!.sources.length) selected = rungs.findIndex(({ sources }) => sources.length);
      file = 0;
      status.textContent = `${facts!.description}${facts!.cpu ? ", on the CPU: what is fast on a GPU may be slow here" : ""}.`;
      drawTable();
      showSource();
    });
  };

  async function limits(): Promise<Reach> {
    if (reach) return reach;
    const key = `limits ${facts!.description}`;
    const kept = sessionStorage.getItem(key);
    if (kept) return (reach = JSON.parse(kept) as Reach);
    status.textContent = "Measuring what this adapter reaches at most: multiply-adds in registers, and a copy …";
    reach = await lab.ask<"limits">({ type: "limits" });
    sessionStorage.setItem(key, JSON.stringify(reach));
    return reach;
  }

  const measureAll = (): Promise<void> =>
    busyWith("", async () => {
      const most = await limits();
      results = new Map();
      drawTable();
      for (const { rung, name, missing } of rungs) {
        if (missing) continue;
        status.textContent = `Checking and timing ${name} …`;
        const { row } = await lab.ask<"measure">({ type: "measure", job: structuredClone(job), rung, reach: most });
        results.set(name, row!.error ?? row!);
        drawTable();
      }
      status.textContent =
        `${facts!.description}: at most ${number(most.f32 / 1e9)} GFLOP/s in registers and ${number(most.bytes / 1e9)} GB/s copying, ` +
        `timed by the ${most.clock === "device" ? "device's timestamps" : "clock on the wall"}.`;
    });

  function drawTable(): void {
    const heads = ["rung", "ms", ...(page.counted ? ["GFLOP/s"] : []), "GB/s", "of limit", "largest error"];
    const rows = rungs.map((info, i) => {
      const result = results.get(info.name);
      const row = typeof result === "object" ? result : undefined;
      const cells = info.missing
        ? [h("td", { colSpan: heads.length - 1, className: "missing" }, info.missing)]
        : typeof result === "string"
          ? [h("td", { colSpan: heads.length - 1, className: "wrong" }, result)]
          : [
              h("td", {}, row?.ms ? number(row.ms) : ""),
              page.counted && h("td", {}, row?.gflops ? number(row.gflops) : ""),
              h("td", {}, row?.gbs ? number(row.gbs) : ""),
              h("td", {}, row && share(row.of_limit ?? 0)),
              h("td", { className: "right" }, row && (row.off === undefined ? "right" : row.off.toExponential(1))),
            ];
      const choose = h(
        "button",
        {
          type: "button",
          disabled: info.sources.length === 0,
          className: "explore-rung",
          onclick: () => {
            [selected, file] = [i, 0];
            drawTable();
            showSource();
          },
          attrs: { "aria-pressed": `${i === selected}` },
        },
        info.name,
      );
      return h(
        "tr",
        { className: i === selected ? "selected" : "" },
        h("th", { attrs: { scope: "row" } }, choose, h("span", { className: "idea" }, info.idea)),
        cells,
      );
    });
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { attrs: { scope: "col" } }, text)))), h("tbody", {}, rows))); // prettier-ignore
  }

  const share = (of: number): HTMLElement =>
    h("span", { className: "share" }, h("i", { attrs: { style: `width:${Math.min(100, 100 * of)}%` } }), `${Math.round(100 * of)} %`); // prettier-ignore

  const shipped = () => rungs[selected]?.sources[file];

  function showSource(): void {
    const { sources = [] } = rungs[selected] ?? {};
    files.replaceChildren(
      ...sources.map(
        ({ file: name }, i) =>
        h("button", { type: "button", onclick: () => ((file = i), showSource()), attrs: { "aria-pressed": `${i === file}` } }, name.replace(/^.*\//, "")), // prettier-ignore
      ),
    );
    outcome.replaceChildren();
    source.value = shipped()?.code ?? "";
    drawSettings();
  }

  function drawSettings(): void {
    const ships = shipped();
    if (!ships || !facts) return;
    const code = source.value;
    const checks = invariantsOf(ships, code, facts);
    rules.replaceChildren(...checks.map(({ says, holds }) => h("li", { className: holds ? "holds" : "broken" }, `${holds ? "✓" : "✗"} ${says}`))); // prettier-ignore
    const broken = new Set(checks.filter(({ holds }) => !holds).flatMap(({ of }) => of));
    const before = settingsOf(ships.code);
    const current = settingsOf(code);
    const focused = settings.querySelector(":focus")?.getAttribute("data-name");
    settings.replaceChildren(
      ...current.map((setting) =>
        settingRow(setting, before.find(({ name }) => name === setting.name)?.value, broken.has(setting.name)),
      ),
    );
    if (focused) settings.querySelector<HTMLElement>(`[data-name="${focused}"]`)?.focus();
  }

  function settingRow(setting: Setting, ships: number | boolean | undefined, broken: boolean): HTMLElement {
    const { name, value, says, line, kind } = setting;
    const take = (next: number | boolean): void => {
      source.value = withSettings(source.value, withFollowing(shipped()!, source.value, name, next));
      source.showLine(line);
      drawSettings();
    };
    const mine = { "data-name": name, "aria-label": `${name}: ${says}` };
    let control: HTMLInputElement;
    if (typeof value === "boolean") {
      control = h("input", { type: "checkbox", checked: value, onchange: () => take(control.checked), attrs: mine });
    } else {
      const stops = stopsFor(value, typeof ships === "number" ? ships : value);
      control = h("input", {
        ...{ type: "range", min: "0", max: `${stops.length - 1}`, value: `${stops.indexOf(value)}` },
        oninput: () => take(stops[Number(control.value)]!),
        attrs: { ...mine, "aria-valuetext": `${value}` },
      });
    }
    control.onfocus = () => source.showLine(line);
    return h(
      "label",
      {
        className: `${broken ? "broken" : ""} ${ships !== undefined && ships !== value ? "changed" : ""}`,
        title: says,
        attrs: { "data-line": line },
      },
      h("code", {}, name),
      control,
      h("output", {}, `${value}`),
      h(
        "span",
        { className: "says" },
        `${kind === "const" ? "const" : "override"}, line ${line + 1}${says ? `: ${says}` : ""}`,
      ),
    );
  }

  const measureSource = (): Promise<void> =>
    busyWith("Compiling and running your source …", async () => {
      const most = await limits();
      const { rung } = rungs[selected]!;
      const edited = { ...shipped()!, code: source.value };
      const { row, errors } = await lab.ask<"measure">({ type: "measure", job: structuredClone(job), rung, reach: most, edited }); // prettier-ignore
      source.showErrors(errors);
      status.textContent = "";
      if (errors.length > 0) {
        outcome.replaceChildren(
          h("p", { className: "verdict wrong" }, "It doesn't compile."),
          h(
            "ul",
            {},
            errors.map(({ line, text }) => h("li", {}, line > 0 ? `line ${line}: ${text}` : text)),
          ),
        );
        return;
      }
      const before = results.get(rungs[selected]!.name);
      const than = typeof before === "object" && before.ms && row!.ms ? `, ${number(before.ms / row!.ms)} times as fast as it ships` : ""; // prettier-ignore
      outcome.replaceChildren(
        row!.error
          ? h("p", { className: "verdict wrong" }, row!.error)
          : h("p", { className: "verdict right" }, `Right. ${number(row!.ms!)} ms, ${Math.round(100 * row!.of_limit!)} % of the limit${than}.`), // prettier-ignore
      );
    });

  async function drawPicture(): Promise<void> {
    const [load] = [`${page.page}-${job.pass}`, page.page].flatMap((name) => drawings[`../../../../docs/kernels/${name}.svg`] ?? []); // prettier-ignore
    picture.show((await load?.()) ?? "");
    source.showParts(picture.parts);
  }

  async function drawCompilers(): Promise<void> {
    const load = pages[`../../../../docs/kernels/${page.page}.md`];
    compilers.replaceChildren(...compilersOf((await load?.()) ?? ""));
  }

  root.dataset["rungs"] = "asked"; // what will be pushed down by the ladder and the source is not seen before
  drawSizes();
  void drawPicture();
  void drawCompilers();
  void busyWith("Opening WebGPU …", async () => {
    facts = await lab.ask<"open">({ type: "open" });
    job.sizes = firstSizes(page, facts.cpu);
    drawSizes();
  })
    .then(() => facts && describe())
    .finally(() => delete root.dataset["rungs"]);
  return () => {
    closed = true;
    picture.close();
    lab.stop();
  };
}
