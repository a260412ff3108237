import { h } from "../dom.ts";
import { chart, CHARTS, type Curves } from "./charts.ts";
import type { PlayEvent, RunRecord, Status } from "./events.ts";
import { SentenceView } from "./sentence-view.ts";

const SHOWN_STATUS: Record<Status, string> = {
  preparing: "Preparing",
  training: "Training",
  paused: "Paused",
  stopped: "Stopped",
  finished: "Finished",
  failed: "Failed",
};

/** How long drawings wait for more, in milliseconds: a page that trains has better to do. */
const PAUSE = 250;

/** A run as it goes: numbers, charts, sentence, confusion and memory. It is fed events, from a worker or from a recording. */
export class RunView {
  readonly sentence = new SentenceView();
  readonly numbers = h("dl", { className: "play-numbers" });
  readonly progress = h("progress", { max: 1, value: 0, attrs: { "aria-label": "Progress of training" } });
  readonly status = h("p", { className: "status", attrs: { role: "status" } });
  readonly charts = h("div", { className: "play-charts" });
  readonly confusion = h("div", { className: "play-confusion" });
  readonly memory = h("div", { className: "play-memory" });
  /** The run that is shown. */
  run: RunRecord | undefined;
  /** Runs to compare it with. */
  others: Curves[] = [];
  #device = "";
  #owners: Record<string, number> = {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.draw();
  }

  show(event: PlayEvent): void {
    const { run } = this;
    switch (event.type) {
      case "begin": {
        this.run = { ...event.run, steps: [...event.run.steps], evaluations: [...event.run.evaluations] };
        this.#device = event.device;
        this.#owners = {};
        const looks = [event.run.first, event.run.last].filter((look) => look !== undefined);
        this.sentence.begin(event.run.labels, event.run.first === event.run.last ? looks.slice(0, 1) : looks);
        const [train, evaluated] = event.rows;
        this.#say(`${train.toLocaleString("en")} rows to train on, ${evaluated.toLocaleString("en")} to evaluate. The first update compiles the kernels.`); // prettier-ignore
        break;
      }
      case "note":
        this.#say(event.text);
        break;
      case "step":
        if (run) {
          run.steps = run.steps.filter(({ step }) => step < event.step.step); // a lost device goes back to a checkpoint
          run.steps.push(event.step);
          run.step = event.step.step;
          run.status = "training";
        }
        break;
      case "evaluation":
        if (run) {
          run.evaluations = run.evaluations.filter(({ step }) => step < event.evaluation.step);
          run.evaluations.push(event.evaluation);
          run.metrics = event.evaluation.metrics;
        }
        break;
      case "memory":
        this.#owners = event.owners;
        break;
      case "look":
        this.sentence.show(event.look);
        break;
      case "nearest":
        this.sentence.nearest(event.neighbours);
        break;
      case "saved":
        this.#say(`A checkpoint of update ${event.step} is kept in this browser.`);
        break;
      case "end":
        if (run) run.status = event.status;
        this.#say(`${SHOWN_STATUS[event.status]} at update ${event.step}.`);
        break;
      case "failed":
        if (run) run.status = "failed";
        this.#say(event.message, true);
        break;
    }
    if (event.type === "end") this.draw();
    else this.#timer ??= setTimeout(() => this.draw(), PAUSE);
  }

  #say(text: string, isError = false): void {
    this.status.textContent = text;
    this.status.classList.toggle("play-error", isError);
  }

  draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { run } = this;
    const newest = run?.steps.at(-1);
    this.progress.value = run && run.totalSteps > 0 ? run.step / run.totalSteps : 0;
    const accuracy = run?.metrics["eval_accuracy"];
    const numbers: [string, string][] = [
      ["update", run ? `${run.step} of ${run.totalSteps}` : "–"],
      ["loss", newest ? newest.loss.toFixed(3) : "–"],
      ["accuracy", accuracy === undefined ? "–" : `${(100 * accuracy).toFixed(1)} %`],
      ["tokens / s", newest ? Math.round(newest.tokensPerSecond).toLocaleString("en") : "–"],
      ["left", newest && run?.status === "training" ? duration(newest.secondsLeft) : "–"],
      ["parameters", run ? run.parameters.toLocaleString("en") : "–"],
    ];
    this.numbers.replaceChildren(
      ...numbers.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
    const curves: Curves = { name: run?.id ?? "", steps: run?.steps ?? [], evaluations: run?.evaluations ?? [] };
    const width = Math.max(240, Math.floor((this.charts.firstElementChild?.clientWidth ?? 0) || 360));
    this.charts.replaceChildren(
      ...CHARTS.map((options) =>
        h(
          "figure",
          {},
          h("figcaption", {}, options.label, options.label === "Loss" && h("span", { className: "play-faint" }, " training, and evaluation in orange")), // prettier-ignore
          chart(options, curves, this.others, width) as HTMLElement,
        ),
      ),
    );
    this.sentence.draw();
    this.#drawConfusion();
    this.#drawMemory();
  }

  #drawConfusion(): void {
    const evaluation = this.run?.evaluations.findLast(({ confusion }) => confusion);
    const { confusion } = evaluation ?? {};
    const labels = this.run?.labels ?? [];
    if (!confusion || confusion.length > 12) {
      return this.confusion.replaceChildren(
        h("p", { className: "play-faint" }, confusion ? `${confusion.length} classes are too many to show.` : "After the first evaluation."), // prettier-ignore
      );
    }
    const totals = confusion.map((row) =>
      Math.max(
        1,
        row.reduce((a, b) => a + b, 0),
      ),
    );
    this.confusion.replaceChildren(
      h(
        "table",
        {},
        h("caption", { className: "play-faint" }, `Rows: what it is. Columns: what the model says, at update ${evaluation!.step}.`), // prettier-ignore
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td", {}),
            labels.map((label) => h("th", { scope: "col" }, label)),
          ),
        ),
        h(
          "tbody",
          {},
          confusion.map((row, i) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, labels[i]),
              row.map((count, j) =>
                h(
                  "td",
                  {
                    className: i === j ? "right" : "wrong",
                    style: `--share: ${Math.round((45 * count) / totals[i]!)}%`,
                  },
                  count,
                ),
              ),
            ),
          ),
        ),
      ),
    );
  }

  #drawMemory(): void {
    const owners = Object.entries(this.#owners);
    const largest = Math.max(1, ...owners.map(([, bytes]) => bytes));
    this.memory.replaceChildren(
      ...(owners.length === 0
        ? [h("p", { className: "play-faint" }, "While it trains.")]
        : owners.map(([owner, bytes]) =>
            h(
              "div",
              { className: "play-owner" },
              h("span", {}, owner),
              h("span", { className: "play-meter", style: `--share: ${((100 * bytes) / largest).toFixed(1)}%` }),
              h("span", { className: "play-bytes" }, shownBytes(bytes)),
            ),
          )),
      this.#device && h("p", { className: "play-faint" }, `On ${this.#device}.`),
    );
  }
}

const duration = (seconds: number): string =>
  seconds < 60 ? `${Math.ceil(seconds)} s` : seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`; // prettier-ignore

const shownBytes = (bytes: number): string =>
  bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(0)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
